package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/configs"
)

// serviceOf starts a service of parts that the test gives, without a database.
func serviceOf(t *testing.T, timeout time.Duration, run func(fx.Lifecycle, *parts)) *service {
	t.Helper()
	s := &service{
		config: configs.Config{ShutdownTimeout: timeout}, db: &database{},
		parts: newParts(func(err error) { t.Error(err) }),
	}
	s.app = fx.New(fx.Supply(s.parts, slog.New(slog.DiscardHandler)), fx.WithLogger(quietly), fx.Invoke(run))
	require.NoError(t, s.app.Err())
	require.NoError(t, s.app.Start(t.Context()))
	return s
}

func TestAllPartsAreToldToStopAtOnce(t *testing.T) {
	t.Parallel()
	first := make(chan struct{})
	s := serviceOf(t, time.Minute, func(lc fx.Lifecycle, p *parts) {
		p.background(lc, "first", func(ctx context.Context) error {
			<-ctx.Done()
			close(first)
			return nil
		})
		p.background(lc, "second", func(ctx context.Context) error { // is waited for before the first is
			<-ctx.Done()
			<-first
			return nil
		})
	})
	require.NoError(t, s.stop(t.Context()))
	require.Empty(t, s.parts.still())
}

func TestWhatDoesNotStopInTimeIsNamed(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serviceOf(t, 50*time.Millisecond, func(lc fx.Lifecycle, p *parts) {
		p.background(lc, "relay", func(ctx context.Context) error { <-ctx.Done(); return nil })
		for _, name := range []string{"workers", "calls to the API"} {
			p.background(lc, name, func(context.Context) error { <-release; return nil })
		}
	})
	require.EqualError(t, s.stop(t.Context()), "not stopped within shutdown_timeout (50ms), and broken off: workers, calls to the API; "+
		"what was begun goes on elsewhere, or at the next start")
	close(release)
	require.Eventually(t, func() bool { return len(s.parts.still()) == 0 }, 10*time.Second, time.Millisecond)
}

// What holds a connection of the database for good holds up no stop.
func TestAStopDoesNotHangOnWhatIsNotClosed(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serviceOf(t, 50*time.Millisecond, func(lc fx.Lifecycle, _ *parts) {
		lc.Append(fx.StopHook(func() { <-release }))
	})
	require.ErrorContains(t, s.stop(t.Context()), "connections to the broker or the database")
	close(release)
}

func TestWhoeverSendsCallsIsToldBeforeAnythingStops(t *testing.T) {
	t.Parallel()
	drained := make(chan struct{})
	s := serviceOf(t, time.Minute, func(lc fx.Lifecycle, p *parts) {
		p.onDrain(func() { close(drained) })
		p.background(lc, "relay", func(ctx context.Context) error {
			<-drained
			if ctx.Err() != nil {
				return errors.New("was stopped before the delay")
			}
			<-ctx.Done()
			return nil
		})
	})
	s.config.ShutdownDelay = 50 * time.Millisecond
	asked, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.stop(asked))
}
