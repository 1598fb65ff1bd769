package postgres_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/ports"
	"lectern/ports/portstest"
)

func TestOutboxConformance(t *testing.T) {
	t.Parallel()
	portstest.TestOutbox(t, func(t *testing.T) portstest.OutboxHarness {
		t.Helper()
		db := stack.Database(t)
		migrate(t, db.Owner)
		admin := connect(t, db.Superuser)
		return portstest.OutboxHarness{
			Relay: func(t *testing.T) ports.Outbox {
				t.Helper()
				return newOutbox(t, open(t, db.Relay))
			},
			Add: func(t *testing.T, course uuid.UUID, n int) []uuid.UUID {
				t.Helper()
				return addEntries(t, admin, course, n)
			},
			AddUrgent: func(t *testing.T, course uuid.UUID, priority int) uuid.UUID {
				t.Helper()
				return addEntries(t, admin, course, 1, domain.JobOptions{Priority: priority})[0]
			},
			Expire: func(t *testing.T, holder string) {
				t.Helper()
				_, err := admin.Exec(t.Context(), `with r as (update lectern.relays set expires_at = now() where holder = $1)
					update lectern.leases set expires_at = now() where holder = $1`, holder)
				require.NoError(t, err)
			},
		}
	})
}

// execer is a connection or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// addEntries commits n entries of a course, which it makes if need be. They have
// the options, if any.
func addEntries(t *testing.T, conn execer, course uuid.UUID, n int, options ...domain.JobOptions) []uuid.UUID {
	t.Helper()
	_, err := conn.Exec(t.Context(), `insert into lectern.courses (id, organization_id, user_id, title, slug, language, style)
		values ($1, $1, $1, 'x', 'x', 'en', 'practical') on conflict do nothing`, course)
	require.NoError(t, err)
	type entry struct {
		ID      uuid.UUID         `json:"outbox_id"`
		Queue   string            `json:"queue"`
		Data    struct{}          `json:"data"`
		Options domain.JobOptions `json:"options"`
	}
	entries, ids := make([]entry, n), make([]uuid.UUID, n)
	for i := range entries {
		ids[i] = newID(t)
		entries[i] = entry{ID: ids[i], Queue: "summarization"}
		if len(options) > 0 {
			entries[i].Options = options[0]
		}
	}
	_, err = conn.Exec(t.Context(), `select lectern.lock_course($1)`, course)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `select lectern.add_entries($1, 1, $2, 'TEST', null)`, course, entries)
	require.NoError(t, err)
	return ids
}
