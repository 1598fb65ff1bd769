package migrations_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
	"lectern/migrations"
)

func TestMain(m *testing.M) { stack.Main(m) }

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func migrator(t *testing.T, db *sql.DB, prefix string) *migrations.Migrator {
	t.Helper()
	m, err := migrations.New(t.Context(), db, prefix)
	require.NoError(t, err)
	return m
}

const rows = `
	insert into lectern.courses (id, organization_id, user_id, title, slug, language, style)
	values ('01900000-0000-7000-8000-000000000001', gen_random_uuid(), gen_random_uuid(), 'A course', 'a-course', 'en', 'practical');
	insert into lectern.documents (document_id, entity_id, organization_id, name, format, size_bytes, sha256, blob_key)
	select gen_random_uuid(), id, organization_id, 'a.md', 'md', 1, repeat('0', 64), 'k' from lectern.courses;
	insert into lectern.document_chunks select document_id, entity_id, 1, 'text' from lectern.documents;
	insert into lectern.job_outbox (outbox_id, entity_id, run, queue_name, job_data)
	select gen_random_uuid(), id, 1, 'summarization', '{}' from lectern.courses;
	insert into lectern.idempotency_keys (organization_id, key, fingerprint, entity_id, expires_at)
	select organization_id, 'key-number-1', repeat('0', 64), id, now() + interval '1 day' from lectern.courses;
	insert into lectern.fsm_events (entity_id, event_no, event_type, created_by)
	select id, 1, 'FSM_INITIALIZED', 'TEST' from lectern.courses;
	insert into lectern.processed_jobs (outbox_id, consumer, entity_id, outcome)
	select gen_random_uuid(), 'workers', id, 'completed' from lectern.courses;`

func TestMigrationsGoUpAndDownAndUpWithRowsInTheTables(t *testing.T) {
	t.Parallel()
	for version, database := range map[int]func(testing.TB, ...string) *stack.DB{15: stack.Postgres15, 18: stack.Database} {
		t.Run(fmt.Sprintf("Postgres %d", version), func(t *testing.T) {
			t.Parallel()
			db := open(t, database(t).Owner)
			var number int
			require.NoError(t, db.QueryRowContext(t.Context(), "select current_setting('server_version_num')::int").Scan(&number))
			require.Equal(t, version, number/10_000)
			goUpAndDownTwice(t, db)
		})
	}
}

func goUpAndDownTwice(t *testing.T, db *sql.DB) {
	t.Helper()
	m := migrator(t, db, migrations.DefaultRolePrefix)
	latest, err := migrations.Latest()
	require.NoError(t, err)
	files, err := filepath.Glob("[0-9]*.sql")
	require.NoError(t, err)

	for range 2 {
		applied, err := m.Up(t.Context())
		require.NoError(t, err)
		require.Len(t, applied, len(files))
		status, err := m.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, migrations.Status{Current: latest, Latest: latest}, status)
		_, err = db.ExecContext(t.Context(), rows)
		require.NoError(t, err)

		_, err = m.Down(t.Context())
		require.NoError(t, err)
		var left int
		require.NoError(t, db.QueryRowContext(t.Context(), `
			select (select count(*) from pg_class where relnamespace = 'lectern'::regnamespace and relname not like 'goose%' and relkind in ('r', 'S'))
			     + (select count(*) from pg_proc where pronamespace = 'lectern'::regnamespace)`).Scan(&left))
		require.Zero(t, left)
	}
}

func TestUpTwiceAppliesNothingTheSecondTime(t *testing.T) {
	t.Parallel()
	m := migrator(t, open(t, stack.Database(t).Owner), migrations.DefaultRolePrefix)
	_, err := m.Up(t.Context())
	require.NoError(t, err)
	applied, err := m.Up(t.Context())
	require.NoError(t, err)
	require.Empty(t, applied)
}

func TestAnotherPrefixNamesOtherRoles(t *testing.T) {
	t.Parallel()
	db := open(t, stack.Database(t).Owner)
	_, err := migrator(t, db, "school").Up(t.Context())
	require.NoError(t, err)
	var may bool
	require.NoError(t, db.QueryRowContext(t.Context(),
		`select has_table_privilege('school_app', 'lectern.courses', 'select') and not has_table_privilege('lectern_app', 'lectern.courses', 'select')`).Scan(&may))
	require.True(t, may)
}

func TestBadPrefixIsRefused(t *testing.T) {
	t.Parallel()
	db := open(t, stack.Database(t).Owner)
	for _, prefix := range []string{"", "Lectern", "a-b", `x"; drop`, "9x"} {
		_, err := migrations.New(t.Context(), db, prefix)
		require.ErrorContains(t, err, "role prefix")
	}
}

func TestEveryTableOfTheSystemHasRowSecurityEnabledAndNotForced(t *testing.T) {
	t.Parallel()
	db := open(t, stack.Database(t).Owner)
	_, err := migrator(t, db, migrations.DefaultRolePrefix).Up(t.Context())
	require.NoError(t, err)
	var wrong int
	require.NoError(t, db.QueryRowContext(t.Context(), `
		select count(*) from pg_class where relnamespace = 'lectern'::regnamespace and relkind = 'r'
		and relname not like 'goose%' and (not relrowsecurity or relforcerowsecurity)`).Scan(&wrong))
	require.Zero(t, wrong)
}

// A function that runs as its caller can be led astray by its caller alone; one
// that runs as the owner must not be.
func TestDefinerFunctionsPinTheirSearchPathAndNoneIsOpenToPublic(t *testing.T) {
	t.Parallel()
	db := open(t, stack.Database(t).Owner)
	_, err := migrator(t, db, migrations.DefaultRolePrefix).Up(t.Context())
	require.NoError(t, err)
	var wrong []byte
	require.NoError(t, db.QueryRowContext(t.Context(), `
		select coalesce(json_agg(proname), '[]') from pg_proc where pronamespace = 'lectern'::regnamespace
		and (prosecdef and not 'search_path=lectern, pg_temp' = any(coalesce(proconfig, '{}')) or has_function_privilege('public', oid, 'execute'))`).Scan(&wrong))
	require.JSONEq(t, `[]`, string(wrong))
}
