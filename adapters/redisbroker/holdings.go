package redisbroker

import (
	"context"
	"sync"
	"time"
)

// delivery is an entry that a consumer holds.
type delivery struct {
	id     string
	values map[string]any
	count  int64     // how often it was handed out, this time included
	lost   string    // why it is to be given up without being handed out; or empty
	since  time.Time // when it was taken
}

// outcome is what came of a delivery.
type outcome int

const (
	acked     outcome = iota + 1
	nacked            // it comes again after its delay
	givenBack         // it was not handed out
)

// settled is a delivery whose outcome the server is to know.
type settled struct {
	*delivery
	outcome outcome
}

const (
	// maxWindow is the most that a consumer takes in advance.
	maxWindow = 500
	// ahead is the time for which it takes in advance at the speed it has.
	ahead = 10 * time.Millisecond
	// minMeasure is the shortest time whose speed counts.
	minMeasure = time.Millisecond
)

// holdings are the entries that a consumer has on the server. What it takes in
// advance follows its handlers' speed, so that slow ones keep nothing from
// others: see window.
type holdings struct {
	concurrency int

	mu        sync.Mutex
	all       map[string]*delivery // until we know that the server knows their outcome
	ready     []*delivery          // to be handed out
	unsettled int                  // ready, in hand, and on their way back
	outcomes  []settled            // that the server is to know

	window     int // how many may be unsettled
	measured   time.Time
	done       int       // settled since then
	lookAt     time.Time // the next look at what is due
	returned   bool      // something may wait under returnedConsumer
	changed    bool      // something was stored, and so may be trimmed
	hasReady   chan struct{}
	hasRoom    chan struct{}
	hasOutcome chan struct{}
}

func newHoldings(concurrency int) *holdings {
	return &holdings{
		concurrency: concurrency,
		all:         map[string]*delivery{},
		window:      concurrency,
		returned:    true, // by those before us
		hasReady:    make(chan struct{}, 1),
		hasRoom:     make(chan struct{}, 1),
		hasOutcome:  make(chan struct{}, 1),
	}
}

// add makes entries ready that were taken.
func (h *holdings) add(ds []*delivery) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range ds {
		d.since = now
		h.all[d.id] = d
	}
	h.ready = append(h.ready, ds...)
	h.unsettled += len(ds)
	signal(h.hasReady)
}

// has tells whether an entry is held.
func (h *holdings) has(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[id] != nil
}

// next returns the first that is ready, nil at the end of ctx.
func (h *holdings) next(ctx context.Context) *delivery {
	for ctx.Err() == nil {
		if d := h.pop(); d != nil {
			return d
		}
		select {
		case <-h.hasReady:
		case <-ctx.Done():
		}
	}
	return nil
}

func (h *holdings) pop() *delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ready) == 0 {
		return nil
	}
	d := h.ready[0]
	h.ready[0] = nil
	h.ready = h.ready[1:]
	if len(h.ready) == h.window/2 {
		signal(h.hasRoom)
	}
	return d
}

// settle notes an outcome.
func (h *holdings) settle(d *delivery, o outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outcomes = append(h.outcomes, settled{d, o})
	h.unsettled--
	h.done++
	signal(h.hasOutcome)
	signal(h.hasRoom)
}

// giveBack gives back what is ready, but for the first keep.
func (h *holdings) giveBack(keep int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ready) <= keep {
		return
	}
	for _, d := range h.ready[keep:] {
		h.outcomes = append(h.outcomes, settled{d, givenBack})
	}
	h.ready = h.ready[:keep:keep]
	h.window = h.concurrency
	signal(h.hasOutcome)
}

// giveBackSurplus gives back what was taken in advance and not handed out since:
// the handlers have become slow.
func (h *holdings) giveBackSurplus(patience time.Duration) {
	h.mu.Lock()
	inHand := h.unsettled - len(h.ready)
	waits := len(h.ready) > 0 && time.Since(h.ready[0].since) > patience
	h.mu.Unlock()
	if waits {
		h.giveBack(max(0, h.concurrency-inHand))
	}
}

// takeOutcomes returns what the server is to know.
func (h *holdings) takeOutcomes() []settled {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.outcomes
	h.outcomes = nil
	return taken
}

// putBackOutcomes undoes takeOutcomes.
func (h *holdings) putBackOutcomes(failed []settled) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outcomes = append(failed, h.outcomes...)
}

// stored forgets what the server knows.
func (h *holdings) stored(known []settled) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range known {
		delete(h.all, s.id)
		if s.outcome == givenBack {
			h.unsettled--
			h.returned = true
		}
	}
	h.changed = true
	signal(h.hasRoom)
}

// someStored tells whether something was stored since it was asked last.
func (h *holdings) someStored() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.changed
	h.changed = false
	return was
}

// room waits until there is room for entries, and returns for how many; 0 at the
// end of ctx.
func (h *holdings) room(ctx context.Context) int {
	for ctx.Err() == nil {
		if n := h.free(); n > 0 {
			return n
		}
		select {
		case <-h.hasRoom:
		case <-ctx.Done():
		}
	}
	return 0
}

func (h *holdings) free() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.measure()
	if len(h.ready) > h.window/2 && h.window > h.concurrency {
		return 0 // rather many at once
	}
	// What the server does not know yet is bounded too.
	return min(h.window-h.unsettled, h.concurrency+2*maxWindow-len(h.all))
}

// measure sets the window to what is settled within the time ahead.
func (h *holdings) measure() {
	now := time.Now()
	elapsed := now.Sub(h.measured)
	if elapsed < minMeasure {
		return
	}
	speed := float64(h.done) / elapsed.Seconds()
	h.window = max(h.concurrency, min(int(speed*ahead.Seconds()), maxWindow))
	h.measured, h.done = now, 0
}

// held returns all that is held.
func (h *holdings) held() []*delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := make([]*delivery, 0, len(h.all))
	for _, d := range h.all {
		held = append(held, d)
	}
	return held
}

// someReturned tells whether some of ours may wait under returnedConsumer, and
// notes that they do, or that this is known.
func (h *holdings) someReturned(now bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.returned
	h.returned = now
	return was
}

// lookBy has the next look at what is due not be later.
func (h *holdings) lookBy(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.Before(h.lookAt) {
		h.lookAt = t
	}
}

// startLook tells whether it is time for a look; the next one is then by the
// time given.
func (h *holdings) startLook(next time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Now().Before(h.lookAt) {
		return false
	}
	h.lookAt = next
	return true
}

func (h *holdings) untilLook() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Until(h.lookAt)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
