package app

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lectern/ports"
)

// LeaseConfig tunes a relay's leases.
type LeaseConfig struct {
	Holder    string        // unlike any other relay's
	TTL       time.Duration // a relay that died keeps its partitions so long
	BatchSize int           // entries that the relay has in hand at most
}

// How a lease's time is used: a third passes between two extensions, and the
// last fifth is not used at all, because the database's clock may run faster
// than ours, and its next holder may come in time.
const (
	holdEvery = 3
	lastPart  = 5
)

// longestPass is how long a relay may be busy with one batch and keep its
// leases: beyond that it hangs, and another should go on.
const longestPass = time.Minute

// lease is a relay's hold on its share of the outbox. The relay balances
// between two batches; meanwhile a goroutine of the lease's keeps what it has.
type lease struct {
	LeaseConfig
	outbox ports.Outbox
	now    func() time.Time
	log    *slog.Logger

	calls    sync.Mutex // one at a time, so that the last answer is the newest
	balanced time.Time
	state    atomic.Pointer[leaseState]
	busy     atomic.Pointer[time.Time] // since when the relay is busy with a batch; nil: it is not
}

// leaseState is what the database last said.
type leaseState struct {
	ports.Lease
	until time.Time // by our clock: until then nobody else has it
}

func newLease(config LeaseConfig, outbox ports.Outbox, now func() time.Time, log *slog.Logger) *lease {
	l := &lease{LeaseConfig: config, outbox: outbox, now: now, log: log}
	l.state.Store(&leaseState{})
	return l
}

// current returns the lease to claim under, balanced if that is due. It must
// not be called with entries in hand.
func (l *lease) current(ctx context.Context) (ports.Lease, error) {
	if l.untilBalance() <= 0 || !l.now().Before(l.state.Load().until) {
		l.calls.Lock()
		defer l.calls.Unlock()
		err := l.ask(ctx, func(ctx context.Context) (ports.Lease, error) {
			return l.outbox.Balance(ctx, l.Holder, l.TTL, l.BatchSize)
		})
		if err != nil {
			return ports.Lease{}, err
		}
		l.balanced = l.now()
	}
	return l.state.Load().Lease, nil
}

// untilBalance is how long it is until the relay should balance.
func (l *lease) untilBalance() time.Duration {
	if l.balanced.IsZero() {
		return 0
	}
	return l.balanced.Add(l.TTL / holdEvery).Sub(l.now())
}

// ask takes an answer that counts from when the question was put.
func (l *lease) ask(ctx context.Context, question func(context.Context) (ports.Lease, error)) error {
	ctx, cancel := context.WithTimeout(ctx, l.TTL)
	defer cancel()
	asked := l.now()
	held, err := question(ctx)
	if err != nil {
		return err
	}
	before := len(l.state.Swap(&leaseState{held, asked.Add(l.TTL - l.TTL/lastPart)}).Partitions)
	if before != len(held.Partitions) {
		l.log.InfoContext(ctx, "relay leases partitions", "holder", l.Holder, "partitions", len(held.Partitions), "before", before)
	}
	return nil
}

// has reports whether a partition was ours when the database was last asked.
func (l *lease) has(partition int16) bool {
	return slices.ContainsFunc(l.state.Load().Partitions, func(p ports.LeasedPartition) bool { return p.Partition == partition })
}

// announce makes the holder one of those that share, before it takes anything.
func (l *lease) announce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.TTL)
	defer cancel()
	if _, err := l.outbox.Hold(ctx, l.Holder, l.TTL); err != nil {
		l.log.DebugContext(ctx, "relay not announced: shares are fair a little later", "holder", l.Holder, "error", err)
	}
}

// holds reports whether the partitions of a claim are still ours, for certain.
func (l *lease) holds(claimed ports.Lease) bool {
	s := l.state.Load()
	return l.now().Before(s.until) && !slices.ContainsFunc(claimed.Partitions, func(p ports.LeasedPartition) bool {
		return !slices.Contains(s.Partitions, p)
	})
}

// working notes that a batch is in hand; the returned function, that it is not
// any more.
func (l *lease) working() (done func()) {
	now := l.now()
	l.busy.Store(&now)
	return func() { l.busy.Store(nil) }
}

// hangs reports whether one batch takes longer than any should.
func (l *lease) hangs() bool {
	since := l.busy.Load()
	return since != nil && l.now().Sub(*since) > longestPass
}

// keep extends the lease now and then, until the returned function ends it.
func (l *lease) keep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() {
		ticks := time.NewTicker(l.TTL / holdEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
				l.extend(ctx)
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

func (l *lease) extend(ctx context.Context) {
	if l.hangs() {
		l.log.WarnContext(ctx, "relay hangs: it lets go of its partitions", "holder", l.Holder, "after", longestPass)
		return
	}
	l.calls.Lock()
	defer l.calls.Unlock()
	err := l.ask(ctx, func(ctx context.Context) (ports.Lease, error) { return l.outbox.Hold(ctx, l.Holder, l.TTL) })
	if err != nil && ctx.Err() == nil {
		l.log.WarnContext(ctx, "relay can't extend its leases", "holder", l.Holder, "error", err)
	}
}

// giveBack ends the lease, so that others need not wait until it expires.
func (l *lease) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.TTL)
	defer cancel()
	if err := l.outbox.GiveBack(ctx, l.Holder); err != nil {
		l.log.WarnContext(ctx, "relay can't give back its leases: they expire", "holder", l.Holder, "error", err)
	}
	l.state.Store(&leaseState{})
	l.balanced = time.Time{}
}
