package app_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

var errNoSubscriber = errors.New("this broker only publishes")

// run starts a relay and stops it when the test ends; the signal wakes it.
func run(t *testing.T, o *outbox, b *broker) *app.Signal {
	t.Helper()
	deps := relayDeps(o, b)
	relay := app.NewRelay(deps)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return deps.Wake
}

func relayDeps(o *outbox, b *broker) app.RelayDeps {
	return app.RelayDeps{
		Outbox: o, Broker: b, Wake: app.NewSignal(), Now: time.Now, Log: quiet(), Holder: "test",
		Backoff: app.Backoff{Base: time.Millisecond, Max: 2 * time.Millisecond, Random: func() float64 { return 0.5 }},
		Config:  app.RelayConfig{BatchSize: 10, PollMin: time.Hour, PollMax: time.Hour, MaxAttempts: 5, Lease: time.Minute},
	}
}

func TestRelayPublishesEachTopicsShareAsOneBatchInOrder(t *testing.T) {
	t.Parallel()
	a, b, c := entry(t, domain.QueueSummarization), entry(t, domain.QueueStructureAnalysis), entry(t, domain.QueueSummarization)
	o, br := newOutbox(a, b, c), newBroker()
	run(t, o, br)
	o.until(t, "all published", func(o *outbox) bool { return len(o.pending) == 0 })
	br.mu.Lock()
	defer br.mu.Unlock()
	require.Equal(t, 2, br.batches)
	require.Equal(t, []string{a.ID.String(), c.ID.String()}, br.published["summarization"])
}

func TestAMessageSaysHowUrgentItIs(t *testing.T) {
	t.Parallel()
	plain, urgent := entry(t, domain.QueueSummarization), entry(t, domain.QueueSummarization)
	urgent.Options.Priority = 9
	o, b := newOutbox(plain, urgent), newBroker()
	said := []string{}
	b.fail = func(_ string, msgs []*message.Message) error {
		for _, msg := range msgs {
			said = append(said, msg.Metadata.Get(ports.MetaPriority))
		}
		return nil
	}
	run(t, o, b)
	o.until(t, "all published", func(o *outbox) bool { return len(o.pending) == 0 })
	require.Equal(t, []string{"", "9"}, said)
}

func TestIdleRelayIsWokenByASignal(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	wake := run(t, o, newBroker())
	o.until(t, "an idle look", func(o *outbox) bool { return o.claims > 0 })
	o.add(entry(t, domain.QueueSummarization))
	wake.Notify() // the poll interval is an hour
	o.until(t, "the new entry published", func(o *outbox) bool { return len(o.settled) == 1 })
}

func TestBrokerDownSpendsNobodysAttempts(t *testing.T) {
	t.Parallel()
	o, b := newOutbox(entry(t, domain.QueueSummarization)), newBroker()
	calls := 0
	b.fail = func(_ string, msgs []*message.Message) error {
		if calls++; calls <= 7 { // more often than an entry has attempts
			return ports.NewPublishError(ports.Unavailable, errors.New("connection refused"), msgs...)
		}
		return nil
	}
	run(t, o, b)
	o.until(t, "published after the outage", func(o *outbox) bool { return len(o.pending) == 0 })
	for _, s := range o.settled {
		require.Empty(t, s.Retry)
		require.Empty(t, s.Dead)
	}
}

func TestEachEntryIsSettledByItsOwnOutcome(t *testing.T) {
	t.Parallel()
	fine, refused, later, last := entry(t, domain.QueueSummarization), entry(t, domain.QueueSummarization),
		entry(t, domain.QueueSummarization), entry(t, domain.QueueSummarization)
	last.Attempts = 4
	o, b := newOutbox(fine, refused, later, last), newBroker()
	b.fail = func(string, []*message.Message) error {
		return &ports.PublishError{Failed: map[string]ports.MessageError{
			refused.ID.String(): {Failure: ports.Refused, Err: errors.New("too large")},
			later.ID.String():   {Failure: ports.Retryable, Err: errors.New("not now")},
			last.ID.String():    {Failure: ports.Retryable, Err: errors.New("not now")},
		}}
	}
	run(t, o, b)
	o.until(t, "settled", func(o *outbox) bool { return len(o.settled) == 1 })
	s := o.settled[0]
	require.Equal(t, []domain.OutboxEntry{fine}, s.Published)
	require.Len(t, s.Retry, 1)
	require.Equal(t, later.ID, s.Retry[0].Entry.ID)
	require.Positive(t, s.Retry[0].Delay)
	require.Len(t, s.Dead, 2)
	require.Equal(t, "too large", s.Dead[0].Reason)
	require.False(t, s.HoldBehindDead)
}

func TestErrorAgainstTheContractLosesNothing(t *testing.T) {
	t.Parallel()
	o, b := newOutbox(entry(t, domain.QueueSummarization)), newBroker()
	calls := 0
	b.fail = func(string, []*message.Message) error {
		if calls++; calls == 1 {
			return errors.New("something else")
		}
		return nil
	}
	run(t, o, b)
	o.until(t, "published", func(o *outbox) bool { return len(o.pending) == 0 })
}

func TestRelayIsAliveWhileItReachesTheDatabase(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	o := newOutbox()
	relay := app.NewRelay(app.RelayDeps{
		Outbox: o, Broker: newBroker(), Wake: app.NewSignal(), Now: func() time.Time { return now }, Log: quiet(),
		Config: app.RelayConfig{BatchSize: 1, PollMin: time.Second, PollMax: 30 * time.Second, MaxAttempts: 5, Lease: time.Minute},
	})
	require.False(t, relay.Alive(), "before its first pass")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	o.until(t, "a pass", func(o *outbox) bool { return o.claims > 0 })
	cancel()
	require.NoError(t, <-done)
	require.True(t, relay.Alive())
	now = now.Add(time.Minute)
	require.False(t, relay.Alive(), "after a minute without a pass")
}

func TestDelayDoublesWithJitterUpToItsMost(t *testing.T) {
	t.Parallel()
	low := app.Backoff{Base: time.Second, Max: 10 * time.Second, Random: func() float64 { return 0 }}
	high := app.Backoff{Base: time.Second, Max: 10 * time.Second, Random: func() float64 { return 0.999999 }}
	for n, seconds := range []float64{1: 1, 2: 2, 3: 4, 4: 8, 5: 10, 60: 10, 5000: 10} {
		if seconds == 0 {
			continue
		}
		require.InDelta(t, seconds/2, low.Delay(n).Seconds(), 1e-9, n)
		require.InDelta(t, seconds, high.Delay(n).Seconds(), 1e-3, n)
	}
}

func TestAPoisonThatKillsRelaysIsBuriedUnsent(t *testing.T) {
	t.Parallel()
	poison := entry(t, domain.QueueSummarization)
	o, b := newOutbox(poison), newBroker()
	o.crashes = 5
	run(t, o, b)
	o.until(t, "buried", func(o *outbox) bool { return len(o.pending) == 0 })
	require.Empty(t, o.settled[0].Published)
	require.Equal(t, poison.ID, o.settled[0].Dead[0].Entry.ID)
	require.Contains(t, o.settled[0].Dead[0].Reason, "5 relays in a row died")
	require.Zero(t, b.batches)
}

func TestAStoppedRelayGivesBackItsLeases(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	ctx, cancel := context.WithCancel(t.Context())
	relay := app.NewRelay(relayDeps(o, newBroker()))
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	o.until(t, "a look", func(o *outbox) bool { return o.claims > 0 })
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, []string{"balance", "give back"}, o.asked)
}

func TestARelayThatCanNotLeaseIsNotAlive(t *testing.T) {
	t.Parallel()
	o := newOutbox(entry(t, domain.QueueSummarization))
	o.holdErr = errors.New("database gone")
	deps := relayDeps(o, newBroker())
	var minutes atomic.Int64
	began := time.Now()
	deps.Now = func() time.Time { return began.Add(time.Duration(minutes.Load()) * time.Minute) }
	deps.Config.PollMax = 30 * time.Second
	deps.Config.PollMin = time.Second
	ctx, cancel := context.WithCancel(t.Context())
	relay := app.NewRelay(deps)
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	o.until(t, "it asked for leases twice", func(o *outbox) bool { return len(o.asked) > 1 })
	require.True(t, relay.Alive(), "it has just begun")
	minutes.Store(1)
	require.False(t, relay.Alive())
	require.Zero(t, o.claims)
	cancel()
	require.NoError(t, <-done)
}

// Frozen between claim and publish for longer than its lease, a relay sends
// nothing: by its own clock, for the database might not answer.
func TestAFrozenRelaySendsNothingLate(t *testing.T) {
	t.Parallel()
	o, b := newOutbox(entry(t, domain.QueueSummarization)), newBroker()
	deps := relayDeps(o, b)
	var late atomic.Int64
	began := time.Now()
	deps.Now = func() time.Time { return began.Add(time.Duration(late.Load())) }
	o.claiming = func() {
		if o.claims == 1 {
			late.Store(int64(59 * time.Second)) // of 60, the last part of which is not used
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	relay := app.NewRelay(deps)
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	o.until(t, "published", func(o *outbox) bool { return len(o.settled) == 2 })
	cancel()
	require.NoError(t, <-done)
	require.Empty(t, o.settled[0].Published)
	require.Len(t, o.settled[1].Published, 1)
	require.Equal(t, 1, b.batches)
	require.Equal(t, "balance", o.asked[1], "before it sends again it asks what it still has")
}

// While one batch takes long, the lease is kept, without balancing.
func TestALongBatchKeepsItsLease(t *testing.T) {
	t.Parallel()
	o, b := newOutbox(entry(t, domain.QueueSummarization)), newBroker()
	deps := relayDeps(o, b)
	deps.Config.Lease = 30 * time.Millisecond
	b.fail = func(string, []*message.Message) error {
		o.until(t, "the lease was extended", func(o *outbox) bool { return len(o.asked) > 3 })
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	relay := app.NewRelay(deps)
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	o.until(t, "settled", func(o *outbox) bool { return len(o.settled) == 1 })
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, []string{"balance", "hold", "hold", "hold"}, o.asked[:4])
	require.Len(t, o.settled[0].Published, 1)
}

// slowlyDown is a broker that takes its time to say that it is down.
type slowlyDown struct{ *broker }

func (b slowlyDown) Publish(_ string, msgs ...*message.Message) error {
	<-time.After(10 * time.Second) // of the bubble
	return ports.NewPublishError(ports.Unavailable, errors.New("down"), msgs...)
}

func TestARelayWhoseBrokerIsDownIsAlive(t *testing.T) {
	t.Parallel()
	for _, poll := range []time.Duration{time.Second, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			o := newOutbox(entry(t, domain.QueueDocumentProcessing), entry(t, domain.QueueSummarization),
				entry(t, domain.QueueStructureAnalysis), entry(t, domain.QueueStructureGeneration))
			deps := relayDeps(o, newBroker())
			deps.Broker = slowlyDown{newBroker()}
			deps.Config.PollMin, deps.Config.PollMax = time.Second, poll
			deps.Backoff = app.Backoff{Base: time.Second, Max: 20 * time.Second, Random: func() float64 { return 0.99 }}
			relay := app.NewRelay(deps)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- relay.Run(ctx) }()
			for range 600 {
				<-time.After(time.Second)
				require.True(t, relay.Alive())
			}
			cancel()
			require.NoError(t, <-done)
		})
	}
}
