package natsbroker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// holdings are the messages that a subscription holds, in hand or not. Their
// leases begin anew until the server is told what becomes of them, whatever the
// subscription waits for meanwhile.
type holdings struct {
	conn *nats.Conn
	log  *slog.Logger

	mu   sync.Mutex
	held map[*delivery]struct{}
}

func newHoldings(conn *nats.Conn, log *slog.Logger) *holdings {
	return &holdings{conn: conn, log: log, held: map[*delivery]struct{}{}}
}

func (h *holdings) add(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[d] = struct{}{}
}

// release comes before the server is told: a lease that begins anew afterwards
// would take the place of a retry's delay.
func (h *holdings) release(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, d)
}

func (h *holdings) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held)
}

// keep begins the leases anew three times a lease, until the context ends.
func (h *holdings) keep(ctx context.Context, lease time.Duration) {
	beat := time.NewTicker(lease / 3)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			h.extend()
		case <-ctx.Done():
			return
		}
	}
}

func (h *holdings) extend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for d := range h.held {
		if err := h.conn.Publish(d.raw.Reply, []byte(answerProgress)); err != nil {
			h.log.Debug("Lease not extended, the message may come again", "message", d.m.UUID, "error", err)
			return
		}
	}
}
