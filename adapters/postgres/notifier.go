package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/ports"
)

var _ ports.Notifier = (*Notifier)(nil)

// Where processes tell each other of new entries and events. Any role may send
// there, and need not be able to read an entry or an event.
const (
	entryChannel = "lectern_job_outbox"
	eventChannel = "lectern_events"
)

// What is sent: one of these, then who sends it, and of events ":" and the ids of
// their courses, with commas.
const (
	newEntries = "entries:"
	newEvents  = "events:"
	probe      = "probe:" // of a listener that wants to know whether it hears
)

// coursesAtOnce are as many ids as one notification holds: Postgres takes less
// than 8,000 bytes.
const coursesAtOnce = 200

// Notifier implements ports.Notifier by NOTIFY, in a session of its own: within
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

// Notify implements ports.Notifier, in one transaction.
func (n *Notifier) Notify(ctx context.Context, news ports.News) error {
	var channels, what []string
	if news.Entries {
		channels, what = append(channels, entryChannel), append(what, newEntries+n.self)
	}
	for some := range slices.Chunk(news.Courses, coursesAtOnce) {
		channels, what = append(channels, eventChannel), append(what, newEvents+n.self+":"+joinIDs(some))
	}
	return n.send(ctx, channels, what)
}

func joinIDs(ids []uuid.UUID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, ",")
}

// send sends each text on the channel of its place.
func (n *Notifier) send(ctx context.Context, channels, what []string) error {
	if _, err := n.pool.Exec(ctx, `select pg_notify(t.channel, t.what) from unnest($1::text[], $2::text[]) as t (channel, what)`, channels, what); err != nil {
		return fmt.Errorf("notify other processes: %w", asDomain(err))
	}
	return nil
}

// Close ends the session.
func (n *Notifier) Close() { n.pool.Close() }
