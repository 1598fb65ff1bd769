package app_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
)

// stalls counts the looks at it, and has courses to fail.
type stalls struct {
	mu      sync.Mutex
	looks   []time.Duration // since began
	began   time.Time
	stalled int
	err     error
}

func (s *stalls) FailStalled(_ context.Context, _ time.Duration, limit int) ([]uuid.UUID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks = append(s.looks, time.Since(s.began))
	failed := make([]uuid.UUID, min(limit, s.stalled))
	s.stalled -= len(failed)
	return failed, s.err
}

// fragile is a broker that can be down.
type fragile struct {
	*broker
	down bool
}

func (b *fragile) Ping(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return errDown
	}
	return nil
}

func (b *fragile) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// watchStalls runs a watch that looks every 5 minutes for what happens in a bubble.
func watchStalls(t *testing.T, s *stalls, b *fragile, meanwhile func(signals app.Signals)) {
	t.Helper()
	signals := app.NewSignals()
	s.began = time.Now()
	w := app.NewStallWatch(app.StallDeps{
		Store: s, Broker: newBroker(), Old: []app.OldBroker{{Name: "old", Broker: b}}, Signals: signals, After: 30 * time.Minute,
		Random: func() float64 { return 1 }, Now: time.Now, Log: quiet(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	meanwhile(signals)
	cancel()
	require.NoError(t, <-done)
}

func TestNothingIsStalledBeforeAllHasBeenWellForAsLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, b := &stalls{}, &fragile{broker: newBroker()}
		watchStalls(t, s, b, func(app.Signals) {
			time.Sleep(42 * time.Minute) //nolint:forbidigo // the bubble's clock
			b.setDown(true)
			time.Sleep(5 * time.Minute) //nolint:forbidigo // the bubble's clock
			b.setDown(false)
			time.Sleep(40 * time.Minute) //nolint:forbidigo // the bubble's clock
		})
		require.Equal(t, []time.Duration{30 * time.Minute, 35 * time.Minute, 40 * time.Minute, 75 * time.Minute, 80 * time.Minute, 85 * time.Minute}, s.looks)
	})
}

func TestAFailedLookForStallsBeginsTheTimeAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stalls{err: errors.New("no connection")}
		watchStalls(t, s, &fragile{broker: newBroker()}, func(app.Signals) { time.Sleep(62 * time.Minute) }) //nolint:forbidigo // the bubble's clock
		require.Equal(t, []time.Duration{30 * time.Minute, 60 * time.Minute}, s.looks)
	})
}

// A machine that slept, or a process that was stopped, may have a job in hand.
func TestAWatchForStallsThatWasFrozenGivesItsTimeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, slept := &stalls{began: time.Now()}, time.Duration(0)
		var mu sync.Mutex
		w := app.NewStallWatch(app.StallDeps{
			Store: s, Broker: newBroker(), Signals: app.NewSignals(), After: 30 * time.Minute, Random: func() float64 { return 1 }, Log: quiet(),
			Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(slept) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(28 * time.Minute) //nolint:forbidigo // the bubble's clock
		mu.Lock()
		slept = time.Hour
		mu.Unlock()
		time.Sleep(33 * time.Minute) //nolint:forbidigo // the bubble's clock
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, []time.Duration{60 * time.Minute}, s.looks, "30 minutes after it woke up")
	})
}

func TestAllThatIsStalledIsFailedAtOnceAndWatchersAreWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stalls{stalled: 250}
		watchStalls(t, s, &fragile{broker: newBroker()}, func(signals app.Signals) {
			woken, stop := signals.Events.Watch(uuid.Nil)
			defer stop()
			time.Sleep(31 * time.Minute) //nolint:forbidigo // the bubble's clock
			<-woken
		})
		require.Len(t, s.looks, 3)
		require.Zero(t, s.stalled)
	})
}
