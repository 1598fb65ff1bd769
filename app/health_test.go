package app_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
)

// relayOn starts a relay with the default times on a clock of the test's. The
// relay is given up when the test ends, stuck or not.
func relayOn(t *testing.T, c *clock, o *outbox, b *broker) *app.Health {
	t.Helper()
	relay := app.NewRelay(app.RelayDeps{
		Outbox: o, Broker: b, Wake: app.NewSignal(), Now: c.now, Log: quiet(),
		Backoff: app.Backoff{Base: time.Millisecond, Max: 2 * time.Millisecond, Random: func() float64 { return 0.5 }},
		Config:  app.RelayConfig{BatchSize: 10, PollMin: time.Millisecond, PollMax: 30 * time.Second, MaxAttempts: 5},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return app.NewHealth(nil, &app.OutboxWatch{Relay: relay, Outbox: o})
}

func alive(t *testing.T, h *app.Health) bool {
	t.Helper()
	got, err := h.Outbox(t.Context())
	require.NoError(t, err)
	require.Equal(t, got.Alive, h.Ready(t.Context()) == nil, "readiness says something else")
	return got.Alive
}

func TestOutboxHealthTellsWithinAMinuteThatTheRelayIsStuck(t *testing.T) {
	t.Parallel()
	c, o, b := &clock{at: time.Unix(1_000_000, 0)}, newOutbox(entry(t, domain.QueueSummarization)), newBroker()
	stuck, release := make(chan struct{}), make(chan struct{})
	b.fail = func(string, []*message.Message) error {
		close(stuck)
		<-release
		return nil
	}
	h := relayOn(t, c, o, b)
	<-stuck
	require.True(t, alive(t, h), "it has only just begun")
	c.advance(30 * time.Second)
	require.True(t, alive(t, h), "a slow broker is not a stuck relay")
	c.advance(30 * time.Second)
	require.False(t, alive(t, h))
	close(release)
	o.until(t, "the next pass", func(o *outbox) bool { return len(o.settled) == 1 && o.claims > 1 })
	eventually(t, func() bool { return alive(t, h) })
}

func TestOutboxHealthTellsWithinAMinuteThatTheLoopReachesNoDatabase(t *testing.T) {
	t.Parallel()
	c, o := &clock{at: time.Unix(1_000_000, 0)}, newOutbox()
	h := relayOn(t, c, o, newBroker())
	o.until(t, "a pass", func(o *outbox) bool { return o.claims > 0 })
	o.mu.Lock()
	o.claimErr = errors.New("connection refused")
	o.mu.Unlock()
	got, err := h.Outbox(t.Context())
	require.ErrorContains(t, err, "connection refused", "the table itself is asked")
	require.False(t, got.Alive)
}

func TestOutboxHealthCountsTheTableAndStaysAliveUnderLoad(t *testing.T) {
	t.Parallel()
	c, o := &clock{at: time.Unix(1_000_000, 0)}, newOutbox()
	for range 200 {
		o.add(entry(t, domain.QueueSummarization))
	}
	b := newBroker()
	published, goOn := make(chan struct{}, 20), make(chan struct{})
	b.fail = func(string, []*message.Message) error {
		c.advance(20 * time.Second) // each batch takes so long
		published <- struct{}{}
		<-goOn
		return nil
	}
	h := relayOn(t, c, o, b)
	t.Cleanup(func() { close(goOn) })
	for left := int64(200); left > 0; left -= 10 {
		<-published
		got, err := h.Outbox(t.Context())
		require.NoError(t, err)
		require.True(t, got.Alive, "with %d to go", left)
		require.Equal(t, left, got.QueueDepth, "what is published but not settled is pending")
		goOn <- struct{}{}
	}
}

func TestRelaySettlesWhatItPublishedWhenItIsStopped(t *testing.T) {
	t.Parallel()
	e := entry(t, domain.QueueSummarization)
	o, b := newOutbox(e), newBroker()
	ctx, stop := context.WithCancel(t.Context())
	b.fail = func(string, []*message.Message) error {
		stop() // in the midst of publishing
		return nil
	}
	relay := app.NewRelay(app.RelayDeps{
		Outbox: o, Broker: b, Wake: app.NewSignal(), Now: time.Now, Log: quiet(),
		Config: app.RelayConfig{BatchSize: 10, PollMin: time.Hour, PollMax: time.Hour, MaxAttempts: 5},
	})
	require.NoError(t, relay.Run(ctx))
	require.Len(t, o.settled, 1)
	require.Equal(t, []domain.OutboxEntry{e}, o.settled[0].Published)
	require.Empty(t, o.pending)
}

func TestOutboxHealthIsForThoseWhoRelay(t *testing.T) {
	t.Parallel()
	h := app.NewHealth(nil, nil)
	_, err := h.Outbox(t.Context())
	require.ErrorIs(t, err, app.ErrNoRelay)
	require.NoError(t, h.Ready(t.Context()))
}

func TestReadinessNamesEverythingThatIsNotReached(t *testing.T) {
	t.Parallel()
	h := app.NewHealth([]app.Need{
		{Name: "database as app", Try: func(context.Context) error { return errors.New("refused") }},
		{Name: "broker", Try: func(ctx context.Context) error {
			_, bounded := ctx.Deadline()
			require.True(t, bounded, "a network that swallows would hold up the answer for ever")
			return errors.New("unknown host")
		}},
		{Name: "cache", Try: func(context.Context) error { return nil }},
	}, nil)
	err := h.Ready(t.Context())
	require.ErrorContains(t, err, "reach database as app: refused")
	require.ErrorContains(t, err, "reach broker: unknown host")
	require.NotContains(t, err.Error(), "cache")
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 10*time.Second, time.Millisecond)
}
