package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/ports"
)

var _ ports.EntryNotifier = (*Notifier)(nil)

// channel is where processes tell each other of new entries. Any role may send
// there, and need not be able to read an entry.
const channel = "lectern_job_outbox"

// What is sent: one of these, then who sends it.
const (
	newEntries = "entries:"
	probe      = "probe:" // of a listener that wants to know whether it hears
)

// Notifier implements ports.EntryNotifier by NOTIFY, in a session of its own: within
// the producers' transactions it would line up all their commits.
type Notifier struct {
	pool *pgxpool.Pool
	self string
}

// NewNotifier makes a notifier that logs in as a pool does, whatever the role.
// The caller closes it.
func NewNotifier(ctx context.Context, like *pgxpool.Pool) (*Notifier, error) {
	config := like.Config()
	config.MaxConns, config.MinConns, config.MinIdleConns = 1, 0, 0
	config.ConnConfig.RuntimeParams["application_name"] = "lectern notify"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("make notifier: %w", err)
	}
	return &Notifier{pool, uuid.NewString()}, nil
}

// NotifyEntries implements ports.EntryNotifier.
func (n *Notifier) NotifyEntries(ctx context.Context) error { return n.send(ctx, newEntries+n.self) }

func (n *Notifier) send(ctx context.Context, what string) error {
	if _, err := n.pool.Exec(ctx, `select pg_notify($1, $2)`, channel, what); err != nil {
		return fmt.Errorf("notify of entries: %w", asDomain(err))
	}
	return nil
}

// Close ends the session.
func (n *Notifier) Close() { n.pool.Close() }
