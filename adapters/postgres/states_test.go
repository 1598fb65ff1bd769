package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// Walks every pair of states through the trigger itself, as whoever may write
// the table at all: what it lets through is what domain.State.Next allows, and
// it alone counts versions and runs.
func TestTriggerKeepsTheDomainsStateMachine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	conn := connect(t, b.db.Superuser)
	exec := func(statement string, args ...any) {
		_, err := conn.Exec(t.Context(), statement, args...)
		require.NoError(t, err)
	}
	for _, from := range domain.States() {
		for _, to := range append(domain.States(), "nonsense", "") {
			// Triggers don't fire for a replica: any state can be set.
			exec(`set session_replication_role = replica`)
			exec(`update lectern.courses set generation_status = $2, status_version = 5, run = 2 where id = $1`, c.ID, string(from))
			exec(`set session_replication_role = origin`)

			_, err := conn.Exec(t.Context(), `update lectern.courses set generation_status = $2, status_version = 99, run = 99 where id = $1`, c.ID, string(to))

			want := struct {
				state        domain.State
				version, run int64
			}{from, 5, 2}
			switch {
			case from.CanBecome(to):
				require.NoError(t, err, "%s -> %s", from, to)
				want.state, want.version = to, 6
				if to == domain.StatePending {
					want.run = 3
				}
			case from == to:
				require.NoError(t, err, "no change is no transition")
			default:
				var pg *pgconn.PgError
				require.ErrorAs(t, err, &pg, "%s -> %s must be refused", from, to)
				require.Contains(t, []string{"LE004", "23514"}, pg.Code, "%s -> %s", from, to)
			}
			got := want
			require.NoError(t, conn.QueryRow(t.Context(), `select generation_status, status_version, run from lectern.courses where id = $1`, c.ID).
				Scan(&got.state, &got.version, &got.run))
			require.Equal(t, want, got, "%s -> %s", from, to)
		}
	}
}
