package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"lectern/domain"
	"lectern/ports"
)

// RelayConfig tunes the relay.
type RelayConfig struct {
	BatchSize   int           // entries claimed at once
	PollMin     time.Duration // between looks while there is work
	PollMax     time.Duration // between looks when nothing came for long
	MaxAttempts int           // failed publishes, or deaths of relays, before an entry is dead
	Lease       time.Duration // how long a relay that died keeps its partitions
	OnDead      domain.OnDead // what becomes of what comes after a dead entry in its course
}

// pollGrowth is how much longer an idle relay waits each time.
const pollGrowth = 1.5

// dueAgain is between two looks at what is due, and still parked because
// somebody has locked its course.
const dueAgain = 50 * time.Millisecond

// pollUnheard bounds the poll interval while other processes' commits wake
// nobody.
const pollUnheard = 5 * time.Second

// stuckAfter is how long a pass may take, beyond the longest poll, before the
// relay counts as stuck.
const stuckAfter = 20 * time.Second

// RelayDeps are what the relay needs.
type RelayDeps struct {
	Outbox  ports.Outbox
	Broker  ports.Broker
	Wake    *Signal                    // notified after a commit with entries
	Hears   func() bool                // whether other processes' commits notify Wake too; nil where there are none
	Failed  func(courses ...uuid.UUID) // hears of courses that an entry took along when it died; may be nil
	Backoff Backoff
	Now     func() time.Time
	Log     *slog.Logger
	Holder  string // its name as a holder of leases, unlike any other relay's
	Config  RelayConfig
}

// Relay is the outbox processor: it claims pending entries of the partitions
// that it leases, publishes each topic's share as one batch, and settles them.
// Any number of relays share an outbox, each with an Outbox of its own; those of
// one process are Lanes.
type Relay struct {
	RelayDeps

	lease  *lease
	mine   *Signal                   // Wake's part that concerns the lease
	alone  *sync.RWMutex             // held by who sends a suspect entry, which the process sends alone; others share it
	passed atomic.Pointer[time.Time] // the last pass that reached the database; not a number, whose clock may jump
	poll   atomic.Int64              // the present poll interval
}

// NewRelay makes a relay; Run starts it.
func NewRelay(deps RelayDeps) *Relay {
	r := &Relay{RelayDeps: deps}
	r.lease = newLease(LeaseConfig{deps.Holder, deps.Config.Lease, deps.Config.BatchSize}, deps.Outbox, deps.Now, deps.Log)
	r.mine = deps.Wake.Part(r.lease.has)
	r.alone = &sync.RWMutex{}
	r.poll.Store(int64(deps.Config.PollMin))
	return r
}

var (
	// errBrokerDown says that a batch, or a part of it, found no broker.
	errBrokerDown = errors.New("broker unavailable")
	// errLeaseOver says that a batch, or a part of it, was not sent because it
	// may be another relay's by now.
	errLeaseOver = errors.New("lease lost")
)

// Run relays until ctx ends; what it has in hand then is settled first, and its
// leases are given back. It returns nil: whatever goes wrong is logged, and
// tried again after a delay.
func (r *Relay) Run(ctx context.Context) error {
	r.reached() // it has as long as any pass for the first one
	defer r.lease.giveBack(ctx)
	defer r.lease.keep(ctx)()
	failures := 0
	for ctx.Err() == nil {
		woken := r.mine.C() // before looking, so that no commit slips in between
		n, err := r.pass(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failures++
			delay := r.Backoff.Delay(failures)
			r.Log.WarnContext(ctx, "relay pass failed", "error", err, "failures", failures, "retry_in", delay)
			// Not woken early: each new commit would hammer what is down.
			wait(ctx, delay, nil)
		case n > 0:
			failures = 0
			r.poll.Store(int64(r.Config.PollMin))
		default:
			failures = 0
			r.rest(ctx, r.untilNextLook(ctx), woken)
		}
	}
	return nil
}

// untilNextLook lengthens the poll interval and returns it, or less when a
// parked entry is due before.
func (r *Relay) untilNextLook(ctx context.Context) time.Duration {
	longest := r.Config.PollMax
	if r.Hears != nil && !r.Hears() {
		longest = min(longest, pollUnheard)
	}
	interval := min(time.Duration(r.poll.Load()), longest)
	r.poll.Store(int64(min(time.Duration(float64(interval)*pollGrowth), longest)))
	due, parked, err := r.Outbox.NextDue(ctx)
	if err != nil || !parked {
		return interval // an error shows in the next pass
	}
	return max(dueAgain, min(interval, due))
}

// rest waits as wait does, and meanwhile keeps the share of the outbox a fair
// one. When that changes, or fails, it returns early.
func (r *Relay) rest(ctx context.Context, d time.Duration, woken <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	share := r.lease.state.Load()
	for ctx.Err() == nil {
		if !wait(ctx, r.lease.untilBalance(), woken) {
			return
		}
		lease, err := r.lease.current(ctx)
		if err != nil || !slices.Equal(lease.Partitions, share.Partitions) {
			return
		}
	}
}

// pass claims, publishes and settles one batch and returns its size.
func (r *Relay) pass(ctx context.Context) (int, error) {
	lease, err := r.lease.current(ctx)
	if err != nil {
		return 0, err
	}
	defer r.takeTurns(lease)()
	claimed, err := r.Outbox.Claim(ctx, lease, r.Config.BatchSize)
	if err != nil {
		return 0, err
	}
	r.reached()
	if len(claimed.Entries) == 0 {
		return 0, nil
	}
	defer r.lease.working()()
	settled, publishErr := r.send(lease, claimed)
	settled.HoldBehindDead = r.Config.OnDead == domain.OnDeadBlock
	// What was published is settled even while stopping: else it would be
	// published again.
	if err := r.Outbox.Settle(context.WithoutCancel(ctx), lease, settled); err != nil {
		return 0, errors.Join(err, publishErr)
	}
	r.tellOf(settled.Dead)
	return len(claimed.Entries), publishErr
}

// tellOf tells of courses that dead entries took along.
func (r *Relay) tellOf(dead []domain.FailedEntry) {
	if r.Failed == nil {
		return
	}
	for _, failed := range dead {
		r.Failed(failed.Entry.CourseID)
	}
}

// takeTurns waits until the process has nothing else in hand, where what is
// claimed may be an entry that has to be alone, and until no other lane has such
// a one. The returned function ends the turn.
func (r *Relay) takeTurns(lease ports.Lease) (done func()) {
	if lease.Suspect {
		r.alone.Lock()
		return r.alone.Unlock
	}
	r.alone.RLock()
	return r.alone.RUnlock
}

// send publishes what was claimed, unless too many relays have died of it.
func (r *Relay) send(lease ports.Lease, claimed ports.Claimed) (domain.Settlement, error) {
	if claimed.Crashes < r.Config.MaxAttempts {
		return r.publish(lease, claimed.Entries)
	}
	var settled domain.Settlement
	for _, e := range claimed.Entries {
		reason := fmt.Sprintf("%d relays in a row died while they sent this entry alone", claimed.Crashes)
		r.Log.Error("outbox entry is dead", "entry", e.ID, "course", e.CourseID, "queue", e.Queue, "error", reason)
		settled.Dead = append(settled.Dead, domain.FailedEntry{Entry: e, Reason: reason})
	}
	return settled, nil
}

// publish sends each topic's entries as one batch and sorts them by what
// became of them. Entries that found no broker are left as they are, and so are
// those that are sent too late to be ours for certain, and those that have to
// wait for one of their course that failed in a batch before theirs.
func (r *Relay) publish(lease ports.Lease, entries []domain.OutboxEntry) (domain.Settlement, error) {
	var settled domain.Settlement
	var down error
	behind := waiting{}
	for _, batch := range byQueue(entries) {
		if batch = slices.DeleteFunc(batch, behind.waits); len(batch) == 0 {
			continue
		}
		if !r.lease.holds(lease) {
			return settled, errors.Join(down, errLeaseOver)
		}
		down = errors.Join(down, r.publishTopic(batch, &settled))
		for _, failed := range settled.Retry {
			behind.wait(failed.Entry)
		}
		for _, failed := range settled.Dead {
			if r.Config.OnDead == domain.OnDeadBlock {
				behind.wait(failed.Entry)
			}
		}
	}
	return settled, down
}

// waiting is, by course, the first entry that holds up what follows it.
type waiting map[uuid.UUID]int64

func (w waiting) wait(e domain.OutboxEntry) {
	if seq, ok := w[e.CourseID]; !ok || e.Seq < seq {
		w[e.CourseID] = e.Seq
	}
}

func (w waiting) waits(e domain.OutboxEntry) bool {
	seq, ok := w[e.CourseID]
	return ok && e.Seq > seq
}

// publishTopic sends one topic's entries as one batch and adds what became of
// them, but for those that found no broker.
func (r *Relay) publishTopic(batch []domain.OutboxEntry, settled *domain.Settlement) (down error) {
	failed := r.publishBatch(batch)
	for _, e := range batch {
		failure, ok := failed[e.ID.String()]
		switch {
		case !ok:
			settled.Published = append(settled.Published, e)
		case failure.Failure == ports.Unavailable:
			down = fmt.Errorf("%w: %w", errBrokerDown, failure.Err)
		case failure.Failure == ports.Refused, e.Attempts+1 >= r.Config.MaxAttempts:
			r.Log.Error("outbox entry is dead", "entry", e.ID, "course", e.CourseID, "queue", e.Queue, "error", failure.Err)
			settled.Dead = append(settled.Dead, domain.FailedEntry{Entry: e, Reason: failure.Err.Error()})
		default:
			delay := r.Backoff.Delay(e.Attempts + 1)
			settled.Retry = append(settled.Retry, domain.FailedEntry{Entry: e, Reason: failure.Err.Error(), Delay: delay})
		}
	}
	return down
}

// publishBatch returns the failures of one topic's entries by message UUID.
func (r *Relay) publishBatch(batch []domain.OutboxEntry) map[string]ports.MessageError {
	msgs := make([]*message.Message, len(batch))
	for i, e := range batch {
		msgs[i] = newMessage(e)
	}
	err := r.Broker.Publish(string(batch[0].Queue), msgs...)
	var failed *ports.PublishError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		return failed.Failed
	default: // against the contract: nothing is known of any message
		return ports.NewPublishError(ports.Unavailable, err, msgs...).Failed
	}
}

// byQueue splits entries by topic and keeps their order.
func byQueue(entries []domain.OutboxEntry) [][]domain.OutboxEntry {
	index := map[domain.Queue]int{}
	var batches [][]domain.OutboxEntry
	for _, e := range entries {
		i, ok := index[e.Queue]
		if !ok {
			i = len(batches)
			index[e.Queue] = i
			batches = append(batches, nil)
		}
		batches[i] = append(batches[i], e)
	}
	return batches
}

// wait returns after d, or when ctx ends, or when woken is closed; true if it
// was the time.
func wait(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-woken:
		return false
	case <-timer.C:
		return true
	}
}

// Alive reports whether the relay has reached the database lately.
func (r *Relay) Alive() bool {
	passed := r.passed.Load()
	return passed != nil && r.Now().Sub(*passed) < r.Config.PollMax+stuckAfter
}

// reached notes that a pass has reached the database.
func (r *Relay) reached() {
	now := r.Now()
	r.passed.Store(&now)
}

// PollInterval returns the present interval between looks at an idle outbox.
func (r *Relay) PollInterval() time.Duration { return time.Duration(r.poll.Load()) }
