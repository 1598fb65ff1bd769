package app

import (
	"context"
	"errors"
	"fmt"

	"lectern/ports"
)

// Health answers whether the service is well.
type Health struct {
	relay  *Relay
	outbox ports.Outbox
	broker ports.Broker
}

// NewHealth makes the health of a process that runs relay.
func NewHealth(relay *Relay, outbox ports.Outbox, broker ports.Broker) *Health {
	return &Health{relay, outbox, broker}
}

// errRelayStuck is what readiness says of a relay that stands still.
var errRelayStuck = errors.New("the relay has not reached the database lately")

// Outbox tells how the outbox is by the table itself, not by what the relay
// remembers. With the database gone, Alive is false and the error says why.
func (h *Health) Outbox(ctx context.Context) (OutboxHealth, error) {
	health := OutboxHealth{PollInterval: h.relay.PollInterval()}
	stats, err := h.outbox.Stats(ctx)
	if err != nil {
		return health, err
	}
	health.Alive = h.relay.Alive()
	health.QueueDepth = stats.Depth
	health.LastProcessed = stats.LastProcessed
	return health, nil
}

// Ready returns nil when the service can do its work, else why not.
func (h *Health) Ready(ctx context.Context) error {
	if _, err := h.outbox.Stats(ctx); err != nil {
		return fmt.Errorf("reach database: %w", err)
	}
	if err := h.broker.Ping(ctx); err != nil {
		return fmt.Errorf("reach broker: %w", err)
	}
	if !h.relay.Alive() {
		return errRelayStuck
	}
	return nil
}

// Live returns nil while the process is worth keeping.
func (h *Health) Live(context.Context) error { return nil }
