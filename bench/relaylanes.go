package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/configs"
	"lectern/domain"
	"lectern/ports"
)

// tally counts what becomes done, up to a number.
type tally struct {
	left atomic.Int64
	done chan struct{}
}

func newTally() *tally { return &tally{done: make(chan struct{}, 1)} }

func (t *tally) add(n int) {
	if left := t.left.Add(-int64(n)); left <= 0 && left+int64(n) > 0 {
		t.done <- struct{}{}
	}
}

// wait returns when n are done that were not when it was begun.
func (t *tally) wait(ctx context.Context, n int, begin func()) error {
	t.left.Store(int64(n))
	begin()
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d of %d are left: %w", t.left.Load(), n, ctx.Err())
	}
}

// tallied is an outbox that counts what was settled as published, once it was.
type tallied struct {
	ports.Outbox
	tally *tally
}

// Settle implements ports.Outbox.
func (o tallied) Settle(ctx context.Context, lease ports.Lease, s domain.Settlement) error {
	if len(s.Dead)+len(s.Retry) > 0 {
		return errors.New("an entry failed that none should")
	}
	err := o.Outbox.Settle(ctx, lease, s)
	if err == nil {
		o.tally.add(len(s.Published))
	}
	return err
}

// lanes are relays that share the outbox, as they are when they have worked for
// a while: connected, with their leases.
type lanes struct {
	tally   *tally
	signals app.Signals
	stop    func()
}

// fewPolls are intervals that leave all to the signal: when a drain begins is
// not for a timer to say. While it lasts no relay waits for one.
const fewPolls = time.Hour

// startLanes starts relays as the program does, with the built-in config's values.
func (r *relays) startLanes(ctx context.Context, broker ports.Broker, n int) (*lanes, error) {
	l := &lanes{tally: newTally(), signals: app.NewSignals()}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	l.stop = func() { cancel(); running.Wait() }
	outboxes := make([]ports.Outbox, n)
	for i := range outboxes {
		outboxes[i] = tallied{postgres.NewOutbox(r.pool, time.Now), l.tally}
	}
	relay := app.NewLanes(r.relayDeps(nil, broker, l.signals, "bench"), outboxes)
	running.Go(func() { _ = relay.Run(ctx) }) // which returns nil
	if err := untilIdle(ctx, relay); err != nil {
		l.stop()
		return nil, err
	}
	return l, nil
}

func (r *relays) relayDeps(outbox ports.Outbox, broker ports.Broker, signals app.Signals, holder string) app.RelayDeps {
	c := configs.Default().Relay
	return app.RelayDeps{
		Outbox: outbox, Broker: broker, Wake: signals.Entries, Now: time.Now, Log: slog.New(slog.DiscardHandler), Holder: holder,
		Backoff: app.Backoff{Base: time.Second, Max: time.Second, Random: rand.Float64},
		Config: app.RelayConfig{
			BatchSize: c.BatchSize, PollMin: fewPolls, PollMax: 2 * fewPolls, MaxAttempts: c.MaxAttempts, Lease: c.Lease, OnDead: c.OnDead,
		},
	}
}

// untilIdle waits until every relay has found nothing and lengthened its interval.
func untilIdle(ctx context.Context, relay ports.Relay) error {
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	for relay.PollInterval() <= fewPolls {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
		}
	}
	return nil
}

// drain wakes the relays and returns when they have settled n entries.
func (l *lanes) drain(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	return l.tally.wait(ctx, n, l.signals.Entries.Notify)
}

// drainTimeout is far more than any drain should take, the peer's too.
const drainTimeout = 5 * time.Minute
