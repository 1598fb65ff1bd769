package app_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/ports"
)

var errDown = errors.New("the database is down")

// wire stands in for the database between processes: it counts what is sent, and
// is heard on as often as a test says.
type wire struct {
	mu     sync.Mutex
	down   bool
	sent   []time.Time
	news   []ports.News
	heard  chan struct{}
	events chan []uuid.UUID
	broken chan error
}

func newWire() *wire {
	return &wire{heard: make(chan struct{}), events: make(chan []uuid.UUID), broken: make(chan error)}
}

func (w *wire) setDown(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

func (w *wire) isDown() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down
}

func (w *wire) times() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Time(nil), w.sent...)
}

func (w *wire) Notify(ctx context.Context, n ports.News) error {
	if w.isDown() {
		return errDown
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent, w.news = append(w.sent, time.Now()), append(w.news, n)
	return ctx.Err()
}

func (w *wire) ListenForEntries(ctx context.Context, ready, heard func()) error {
	if w.isDown() {
		return errDown
	}
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.heard:
			heard()
		case err := <-w.broken:
			return err
		}
	}
}

func (w *wire) ListenForEvents(ctx context.Context, ready func(), heard func(...uuid.UUID)) error {
	if w.isDown() {
		return errDown
	}
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case courses := <-w.events:
			heard(courses...)
		case err := <-w.broken:
			return err
		}
	}
}

func wakeBackoff() app.Backoff {
	return app.Backoff{Base: time.Second, Max: 4 * time.Second, Random: func() float64 { return 0.5 }}
}

// notifying runs a notifier until stop is called.
func notifying(t *testing.T, w *wire) (signals app.Signals, stop func()) {
	t.Helper()
	signals = app.NewSignals()
	n := app.NewNotifier(w, signals, wakeBackoff(), quiet())
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx) })
	synctest.Wait()
	return signals, func() {
		cancel()
		running.Wait()
	}
}

func TestTheFirstCommitIsToldAtOnceAndABurstSharesNotifications(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		signals, stop := notifying(t, w)
		began := time.Now()
		for range 1000 { // in a second
			signals.Committed()
			time.Sleep(time.Millisecond) //nolint:forbidigo // the bubble's clock
		}
		stop()
		sent := w.times()
		require.Equal(t, began, sent[0])
		require.LessOrEqual(t, len(sent), 201, "one in 5 ms at most")
		for i := range sent[1:] {
			require.GreaterOrEqual(t, sent[i+1].Sub(sent[i]), 5*time.Millisecond)
		}
		require.Less(t, time.Since(sent[len(sent)-1]), 6*time.Millisecond, "the last commit is told too")
	})
}

func TestACommitBeforeTheStopIsStillTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		signals, stop := notifying(t, w)
		signals.Committed()
		synctest.Wait()
		signals.Committed() // within the gap
		stop()
		require.Len(t, w.times(), 2)
	})
}

func TestWhatCouldNotBeToldIsToldLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		w.setDown(true)
		signals, stop := notifying(t, w)
		signals.Committed()     // and never again
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		require.Empty(t, w.times())
		w.setDown(false)
		time.Sleep(4 * time.Second) //nolint:forbidigo // the bubble's clock
		require.Len(t, w.times(), 1)
		w.setDown(true)
		signals.Committed()
		stop() // which it does not hold up
	})
}

func TestWhatOthersToldIsNotToldAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		signals, stop := notifying(t, w)
		signals.Entries.Notify() // as the listener does
		signals.Events.Notify(uuid.New())
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
		stop()
		require.Empty(t, w.times())
	})
}

func TestCoursesWithNewEventsAreGatheredAndToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, one, other := newWire(), uuid.New(), uuid.New()
		w.setDown(true)
		signals, stop := notifying(t, w)
		for range 3 {
			signals.Happened(one)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		signals.Committed(other)
		w.setDown(false)
		time.Sleep(4 * time.Second) //nolint:forbidigo // the bubble's clock
		signals.Happened(other)
		signals.Happened() // of none
		stop()
		require.Len(t, w.news, 2)
		require.True(t, w.news[0].Entries)
		require.ElementsMatch(t, []uuid.UUID{one, other}, w.news[0].Courses)
		require.Equal(t, ports.News{Courses: []uuid.UUID{other}}, w.news[1])
	})
}

func TestListenerWakesTheWatchersOfWhatItHearsAndAllForWhatItMayHaveMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, signals, course := newWire(), app.NewSignals(), uuid.New()
		mine, stopMine := signals.Events.Watch(course)
		others, stopOthers := signals.Events.Watch(uuid.New())
		defer stopOthers()
		l := app.NewEventListener(w, signals, wakeBackoff(), quiet())
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { l.Run(ctx) })
		woken := func(what string, want ...int) {
			synctest.Wait()
			require.Equal(t, want, []int{len(mine), len(others)}, what)
			for _, c := range []<-chan struct{}{mine, others} {
				for len(c) > 0 {
					<-c
				}
			}
		}
		woken("it listens", 1, 1)
		w.events <- []uuid.UUID{uuid.New(), course}
		w.events <- []uuid.UUID{course}
		woken("events of one course, told twice", 1, 0)
		w.broken <- errDown
		woken("it hears no more", 1, 1)
		require.False(t, l.Hears())
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
		woken("it listens again", 1, 1)
		require.True(t, l.Hears())
		stopMine()
		w.events <- []uuid.UUID{course}
		woken("nobody watches it any more", 0, 0)
		cancel()
		running.Wait()
	})
}

func TestListenerWakesTheRelayForWhatItHearsAndForWhatItMayHaveMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, signals := newWire(), app.NewSignals()
		w.setDown(true)
		l := app.NewEntryListener(w, signals, wakeBackoff(), quiet())
		ctx, cancel := context.WithCancel(t.Context())
		woken := signals.Entries.C()
		var running sync.WaitGroup
		running.Go(func() { l.Run(ctx) })
		step := func(what string, hears bool) {
			synctest.Wait()
			require.Equal(t, hears, l.Hears(), what)
			select {
			case <-woken:
			default:
				t.Fatalf("not woken: %s", what)
			}
			woken = signals.Entries.C()
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		require.False(t, l.Hears())
		w.setDown(false)
		time.Sleep(4 * time.Second) //nolint:forbidigo // the bubble's clock
		step("it listens again", true)
		w.heard <- struct{}{}
		step("somebody committed", true)
		w.setDown(true)
		w.broken <- errDown
		step("it hears no more", false)
		w.setDown(false)
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
		step("it listens again, after a first delay", true)
		cancel()
		running.Wait()
		require.False(t, l.Hears())
	})
}

func TestIdleRelayLooksLessOftenAndNeverTooSeldomWhileItHearsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		hears := true
		o, wake := newOutbox(), app.NewSignal()
		looks := &looking{outbox: o}
		relay := app.NewRelay(app.RelayDeps{
			Outbox: looks, Broker: newBroker(), Wake: wake, Now: time.Now, Log: quiet(), Backoff: wakeBackoff(),
			Hears:  func() bool { mu.Lock(); defer mu.Unlock(); return hears },
			Config: app.RelayConfig{BatchSize: 10, PollMin: time.Second, PollMax: 30 * time.Second, MaxAttempts: 5, Lease: 10 * time.Second},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- relay.Run(ctx) }()
		time.Sleep(3 * time.Minute) //nolint:forbidigo // the bubble's clock
		require.Equal(t, []time.Duration{1000e6, 1500e6, 2250e6, 3375e6, 5062.5e6}, looks.gaps()[:5])
		require.Equal(t, 30*time.Second, looks.longest())

		mu.Lock()
		hears = false
		mu.Unlock()
		wake.Notify() // as the listener does
		synctest.Wait()
		looks.forget()
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		require.Equal(t, 5*time.Second, looks.longest())

		mu.Lock()
		hears = true
		mu.Unlock()
		o.add(entry(t, "summarization"))
		wake.Notify()
		synctest.Wait()
		looks.forget()
		time.Sleep(10 * time.Second) //nolint:forbidigo // the bubble's clock
		require.Equal(t, []time.Duration{1000e6, 1500e6}, looks.gaps()[:2], "from the shortest again after work")
		cancel()
		require.NoError(t, <-done)
	})
}

// looking is an outbox that notes when it was looked at.
type looking struct {
	*outbox
	at []time.Time
}

func (l *looking) Claim(ctx context.Context, lease ports.Lease, limit int) (ports.Claimed, error) {
	l.mu.Lock()
	l.at = append(l.at, time.Now())
	l.mu.Unlock()
	return l.outbox.Claim(ctx, lease, limit)
}

func (l *looking) gaps() (gaps []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.at[1:] {
		gaps = append(gaps, l.at[i+1].Sub(l.at[i]))
	}
	return gaps
}

func (l *looking) longest() time.Duration { return slices.Max(l.gaps()) }

// forget begins anew at the last look.
func (l *looking) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = l.at[len(l.at)-1:]
}
