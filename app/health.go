package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lectern/ports"
)

// Need is something that a process can't do its work without.
type Need struct {
	Name string // for people: "database as app"
	Try  func(context.Context) error
}

// OutboxWatch is what health looks at in a process that relays.
type OutboxWatch struct {
	Relay  ports.Relay
	Outbox ports.Outbox
}

// Health answers whether a process is well.
type Health struct {
	needs []Need
	watch *OutboxWatch
}

// NewHealth makes the health of a process with these needs; watch is nil where
// the relay does not run.
func NewHealth(needs []Need, watch *OutboxWatch) *Health { return &Health{needs, watch} }

// healthTimeout bounds an answer: what can't be reached by then, is not.
const healthTimeout = 5 * time.Second

// errRelayStuck is what readiness says of a relay that stands still.
var errRelayStuck = errors.New("the relay has not reached the database lately")

// ErrNoRelay says that a process can't tell how the outbox is.
var ErrNoRelay = errors.New("the relay does not run in this process: ask one whose roles include relay")

// Outbox tells how the outbox is by the table itself, not by what the relay
// remembers. With the database gone, Alive is false and the error says why;
// where the relay does not run it is ErrNoRelay.
func (h *Health) Outbox(ctx context.Context) (OutboxHealth, error) {
	if h.watch == nil {
		return OutboxHealth{}, ErrNoRelay
	}
	health := OutboxHealth{PollInterval: h.watch.Relay.PollInterval()}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	stats, err := h.watch.Outbox.Stats(ctx)
	if err != nil {
		return health, err
	}
	health.Alive = h.watch.Relay.Alive()
	health.QueueDepth = stats.Depth
	health.LastProcessed = stats.LastProcessed
	return health, nil
}

// Ready returns nil when the process can do its work, else why not.
func (h *Health) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	tried := make(chan error, len(h.needs))
	for _, need := range h.needs {
		go func() { tried <- need.reach(ctx) }()
	}
	var errs []error
	for range h.needs {
		errs = append(errs, <-tried)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if h.watch != nil && !h.watch.Relay.Alive() {
		return errRelayStuck
	}
	return nil
}

func (n Need) reach(ctx context.Context) error {
	if err := n.Try(ctx); err != nil {
		return fmt.Errorf("reach %s: %w", n.Name, err)
	}
	return nil
}

// Live returns nil while the process is worth keeping.
func (h *Health) Live(context.Context) error { return nil }
