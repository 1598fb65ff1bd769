package postgres_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
	"lectern/migrations"
)

func requireCode(t *testing.T, code string, err error) {
	t.Helper()
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg, "want SQLSTATE %s", code)
	require.Equal(t, code, pg.Code, pg.Message)
}

func TestSystemTablesRefuseTheServicesRoles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	roles := map[string]string{"app": b.db.App, "worker": b.db.Worker, "relay": b.db.Relay}
	allowed := map[string]bool{"relay job_outbox": true, "relay leases": true}
	for role, dsn := range roles {
		conn := connect(t, dsn)
		for _, table := range []string{"job_outbox", "idempotency_keys", "fsm_events", "processed_jobs", "leases", "retention_runs"} {
			t.Run(role+" "+table, func(t *testing.T) {
				_, err := conn.Exec(t.Context(), "select * from lectern."+table)
				if allowed[role+" "+table] {
					require.NoError(t, err)
				} else {
					requireCode(t, "42501", err)
				}
				_, err = conn.Exec(t.Context(), "delete from lectern."+table)
				requireCode(t, "42501", err)
			})
		}
	}
}

func TestNobodyButTheFunctionsWritesACourse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.course(t)
	for role, dsn := range map[string]string{"app": b.db.App, "worker": b.db.Worker, "relay": b.db.Relay} {
		t.Run(role, func(t *testing.T) {
			conn := connect(t, dsn)
			for _, statement := range []string{
				`update lectern.courses set generation_status = 'completed'`,
				`update lectern.courses set status_version = 7`,
				`update lectern.courses set title = 'x'`,
				`delete from lectern.courses`,
				`alter table lectern.courses disable trigger guard_course_state`,
				`create table lectern.mine (id int)`,
				`select lectern.add_event(gen_random_uuid(), 'JOB_CREATED', '{}', 'TEST', null)`,
			} {
				_, err := conn.Exec(t.Context(), statement)
				requireCode(t, "42501", err)
			}
		})
	}
}

func TestAnotherOrganizationsCourseIsInvisible(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	stranger := domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}

	_, err := b.courses.Get(t.Context(), stranger, c.ID)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonCourseNotFound})
	_, err = b.courses.Events(t.Context(), stranger, c.ID, 0, 10)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonCourseNotFound})
	_, err = b.courses.Entries(t.Context(), stranger, c.ID)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonCourseNotFound})
	list, err := b.courses.List(t.Context(), stranger, uuid.Nil, 10)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestBoundTransactionCommandsNoOtherOrganization(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	tx, err := connect(t, b.db.App).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), fmt.Sprintf(`set local lectern.organization_id = '%s'`, uuid.New()))
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.initialize_fsm_with_outbox($1, $2, $3, 'key-number-1', 'TEST', 'stage_4_init', '[]', null, repeat('0', 64))`,
		c.ID, b.caller.UserID, b.caller.OrganizationID)
	requireCode(t, "LE009", err)
	require.NoError(t, tx.Rollback(t.Context()))
}

func TestUnboundTransactionSeesNoCourse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.course(t)
	conn := connect(t, b.db.App)
	for range 2 { // the second time, an ended SET LOCAL has left ''
		var n int
		require.NoError(t, conn.QueryRow(t.Context(), `select count(*) from lectern.courses`).Scan(&n))
		require.Zero(t, n)
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), fmt.Sprintf(`set local lectern.organization_id = '%s'`, uuid.New()))
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
	}
}

func TestOpenRefusesRolesThatRowSecurityDoesNotHold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := postgres.Open(t.Context(), b.db.Superuser, 1)
	require.ErrorContains(t, err, "superuser")
	_, err = postgres.Open(t.Context(), b.db.Owner, 1)
	require.ErrorContains(t, err, "owns the tables")
}

func TestSchemaVersionIsChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pool := open(t, b.db.App)
	latest, err := migrations.Latest()
	require.NoError(t, err)
	require.NoError(t, postgres.CheckVersion(t.Context(), pool, latest))
	require.ErrorContains(t, postgres.CheckVersion(t.Context(), pool, latest+1), "lectern migrate up")
	require.ErrorContains(t, postgres.CheckVersion(t.Context(), pool, latest-1), "newer lectern")
}

func TestDatabaseAndDomainHaveTheSameStateMachine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.db.Superuser)
	for _, from := range append(domain.States(), "nonsense") {
		for _, to := range append(domain.States(), "nonsense") {
			var legal bool
			require.NoError(t, conn.QueryRow(t.Context(), `select lectern.legal_transition($1, $2)`, string(from), string(to)).Scan(&legal))
			known := from != "nonsense" && from.CanBecome(to)
			require.Equal(t, known, legal, "%s -> %s", from, to)
		}
	}
}

func TestTriggerRefusesAnInsertThatIsNotPending(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := connect(t, b.db.Superuser).Exec(t.Context(), `
		insert into lectern.courses (id, organization_id, user_id, title, slug, language, style, generation_status)
		values ($1, $1, $1, 'x', 'x', 'en', 'practical', 'completed')`, uuid.New())
	requireCode(t, "LE004", err)
}
