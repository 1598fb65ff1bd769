package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lectern/ports"
)

// Lanes are the relays of one process. Each leases its own partitions, and
// claims, publishes and settles by itself, so that one's waiting for the broker
// is another's time at the database. A lane is woken for its partitions alone.
type Lanes struct{ relays []*Relay }

// NewLanes makes a lane for each outbox, which replaces that of deps; the
// holder's name is the whole process's. Run starts them.
func NewLanes(deps RelayDeps, outboxes []ports.Outbox) *Lanes {
	l := &Lanes{relays: make([]*Relay, len(outboxes))}
	alone := &sync.RWMutex{}
	for i, outbox := range outboxes {
		lane := deps
		lane.Outbox, lane.Holder = outbox, fmt.Sprintf("%s/%d", deps.Holder, i+1)
		l.relays[i] = NewRelay(lane)
		l.relays[i].alone = alone
	}
	return l
}

// Run runs all lanes until ctx ends, as Relay.Run does.
func (l *Lanes) Run(ctx context.Context) error {
	// So that the first takes no more than its share, and needs to give nothing
	// back to the others.
	_ = l.each(func(r *Relay) error { r.lease.announce(ctx); return nil })
	return l.each(func(r *Relay) error { return r.Run(ctx) })
}

// each does something with all lanes at once.
func (l *Lanes) each(do func(*Relay) error) error {
	errs := make([]error, len(l.relays))
	var running sync.WaitGroup
	for i, r := range l.relays {
		running.Go(func() { errs[i] = do(r) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// Alive reports whether every lane has reached the database lately.
func (l *Lanes) Alive() bool {
	for _, r := range l.relays {
		if !r.Alive() {
			return false
		}
	}
	return true
}

// PollInterval returns the shortest interval between looks at an idle outbox
// that a lane has at present.
func (l *Lanes) PollInterval() time.Duration {
	shortest := l.relays[0].PollInterval()
	for _, r := range l.relays {
		shortest = min(shortest, r.PollInterval())
	}
	return shortest
}
