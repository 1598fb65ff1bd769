package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// plant puts a false one before every table, function and operator that the
// schema's functions use, in a temporary schema and in public, as the role of
// the connection. Whoever meets a false one fails.
func plant(t *testing.T, conn *pgx.Conn, tables []string) {
	t.Helper()
	var script strings.Builder
	for _, table := range append(tables, "job_outbox_seq") {
		fmt.Fprintf(&script, "create temp table %s (hijacked text);\n", table)
	}
	script.WriteString(`
		do $plant$
		declare
		  f record;
		begin
		  -- Ours, and what they call of the server's.
		  for f in select distinct on (proname, arguments) proname, oidvectortypes(proargtypes) as arguments, pg_get_function_result(oid) as result
		    from pg_proc
		    where pronamespace = 'lectern'::regnamespace or pronamespace = 'pg_catalog'::regnamespace and proname in
		      ('now', 'clock_timestamp', 'current_setting', 'char_length', 'jsonb_typeof', 'jsonb_array_elements', 'jsonb_strip_nulls',
		       'gen_random_uuid', 'nextval', 'hashtext', 'pg_try_advisory_xact_lock', 'make_interval', 'uuid_send', 'get_byte')
		  loop
		    execute format('create function public.%I(%s) returns %s language plpgsql as $f$ begin raise ''hijacked''; end $f$', f.proname, f.arguments, f.result);
		    execute format('create function pg_temp.%I(%s) returns %s language plpgsql as $f$ begin raise ''hijacked''; end $f$', f.proname, f.arguments, f.result);
		  end loop;
		  for f in select * from (values ('uuid', 'uuid'), ('text', 'text'), ('bigint', 'bigint'), ('integer', 'integer'), ('timestamptz', 'timestamptz'),
		    ('jsonb', 'text'), ('jsonb', 'jsonb')) as v (l, r)
		  loop
		    execute format('create function public.false_operator(%s, %s) returns boolean language plpgsql as $f$ begin raise ''hijacked''; end $f$', f.l, f.r);
		    execute format('create operator public.= (leftarg = %s, rightarg = %s, function = public.false_operator)', f.l, f.r);
		    execute format('create operator public.<> (leftarg = %s, rightarg = %s, function = public.false_operator)', f.l, f.r);
		    execute format('create operator public.-> (leftarg = %s, rightarg = %s, function = public.false_operator)', f.l, f.r);
		    execute format('create operator public.|| (leftarg = %s, rightarg = %s, function = public.false_operator)', f.l, f.r);
		    execute format('create operator public.<= (leftarg = %s, rightarg = %s, function = public.false_operator)', f.l, f.r);
		  end loop;
		end
		$plant$;
		set search_path = pg_temp, public, lectern, pg_catalog`)
	_, err := conn.Exec(t.Context(), script.String())
	require.NoError(t, err)
	// What is planted comes first, for whoever does not pin the path.
	for _, statement := range []string{`select hijacked from courses`, `select hijacked from job_outbox`} {
		require.NoError(t, try(t, conn, statement))
	}
	for _, statement := range []string{`select now()`, `select is_state('pending')`, `select 'a'::text = 'b'::text`} {
		require.ErrorContains(t, try(t, conn, statement), "hijacked")
	}
}

// trapped returns the connection of a role for which all is planted.
func trapped(t *testing.T, b *bundle, dsn string) *pgx.Conn {
	t.Helper()
	admin := connect(t, b.db.Superuser)
	_, err := admin.Exec(t.Context(), `grant create on schema public to public`)
	require.NoError(t, err)
	tables := list(t, admin, `select relname from pg_class where relnamespace = 'lectern'::regnamespace and relkind = 'r'`)
	conn := connect(t, dsn)
	plant(t, conn, tables)
	return conn
}

// call calls functions in one transaction each.
func call(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// fakesAreEmpty proves that nothing was written where it was planted.
func fakesAreEmpty(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for _, table := range []string{"courses", "documents", "job_outbox", "fsm_events", "idempotency_keys", "processed_jobs"} {
		require.Empty(t, list(t, conn, "select hijacked from pg_temp."+table))
	}
}

func TestAppHijacksNoFunctionBySearchPath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := trapped(t, b, b.db.App)
	course, entry, user, organization := newID(t), newID(t), b.caller.UserID, b.caller.OrganizationID
	jobs := fmt.Sprintf(`[{"outbox_id": "%s", "queue": "structure-analysis", "data": {}}]`, entry)

	call(t, conn,
		fmt.Sprintf(`select lectern.create_course('%s', '%s', '%s', 'T', 't', 'en', 'practical', '{"pipeline": "manual"}', 'key-number-1', repeat('0', 64))`,
			course, user, organization),
		fmt.Sprintf(`select lectern.add_document('%s', '%s', '%s', 'a.md', 'md', 1, repeat('0', 64), 'k')`, newID(t), course, organization),
		fmt.Sprintf(`select lectern.initialize_fsm_with_outbox('%s', '%s', '%s', 'key-number-2', 'TEST', 'stage_4_init', '%s', null, repeat('1', 64))`, course, user, organization, jobs),
		fmt.Sprintf(`select lectern.initialize_fsm_with_outbox('%s', '%s', '%s', 'key-number-2', 'TEST', 'stage_4_init', '%s', null, repeat('1', 64))`, course, user, organization, jobs),
		fmt.Sprintf(`select lectern.change_course_state('%s', '%s', '%s', 'key-number-3', 'TEST', 'cancelled', 'why', repeat('2', 64))`, course, user, organization),
		fmt.Sprintf(`select lectern.change_course_state('%s', '%s', '%s', 'key-number-4', 'TEST', 'pending', 'why', repeat('3', 64))`, course, user, organization),
		fmt.Sprintf(`set lectern.organization_id = '%s'`, organization),
	)
	require.Len(t, list(t, conn, fmt.Sprintf(`select event_type from lectern.course_events('%s', 0)`, course)), 4)
	require.Len(t, list(t, conn, fmt.Sprintf(`select queue_name from lectern.outbox_entries('%s')`, course)), 1)

	fakesAreEmpty(t, conn)
	require.Equal(t, map[string]int{"courses": 1, "job_outbox": 1, "idempotency_keys": 4, "fsm_events": 4, "processed_jobs": 0}, b.rows(t))
	c, err := b.reader.Get(t.Context(), b.caller, course)
	require.NoError(t, err)
	require.Equal(t, domain.StatePending, c.State)
	require.EqualValues(t, 3, c.Version)
}

func TestWorkerHijacksNoFunctionBySearchPath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	first := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))[0]
	conn := trapped(t, b, b.db.Worker)

	call(t, conn,
		fmt.Sprintf(`select lectern.begin_fit_job('%s', 'workers', '%s', 1, 'stage_4_analyzing')`, first.ID, c.ID),
		fmt.Sprintf(`select lectern.begin_job('%s', 'workers', '%s', 1, 'stage_4_analyzing')`, first.ID, c.ID),
		fmt.Sprintf(`select lectern.advance_course('%s', 'workers', '%s', 1, '{"queue": "structure-analysis", "working": "stage_4_analyzing", "analysis": {"a": 1},
			"on_last": {"states": ["stage_4_complete", "stage_5_init"], "jobs": [{"outbox_id": "%s", "queue": "structure-generation", "data": {}}]}}')`,
			first.ID, c.ID, newID(t)),
	)

	fakesAreEmpty(t, conn)
	require.Equal(t, domain.StateStage5Init, b.reload(t, c).State)
	require.Equal(t, 2, b.rows(t)["job_outbox"])
}

func TestRelayHijacksNoFunctionBySearchPath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	entries := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID), job(t, domain.QueueStructureAnalysis, c.ID))
	conn := trapped(t, b, b.db.Relay)

	call(t, conn,
		fmt.Sprintf(`select lectern.park_failed('[{"outbox_id": "%s", "reason": "r", "delay_ms": 0}]')`, entries[0].ID),
		`select lectern.unpark_due(10, '{1}')`,
		`select lectern.any_urgent(0)`,
		`select lectern.raise_courses('{1}', 0, 10)`,
		fmt.Sprintf(`select lectern.bury_entries('[{"outbox_id": "%s", "reason": "r"}]')`, entries[0].ID),
		`select lectern.run_retention('keys', interval '1 day', interval '1 day', 10)`,
		`select lectern.run_retention('entries', interval '1 day', interval '1 day', 10)`,
		`select lectern.run_retention('inbox', interval '1 day', interval '1 day', 10)`,
	)

	fakesAreEmpty(t, conn)
	require.Equal(t, domain.StateFailed, b.reload(t, c).State)
}

// The traps are good: a function whose path the owner unpins falls into them.
func TestFunctionThatPinsNoPathWouldBeHijacked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := trapped(t, b, b.db.App)
	for _, function := range []string{
		"create_course(uuid, uuid, uuid, text, text, text, text, jsonb, text, text)",
		"add_document(uuid, uuid, uuid, text, text, bigint, text, text)",
		"initialize_fsm_with_outbox(uuid, uuid, uuid, text, text, text, text, jsonb, text, integer)",
		"change_course_state(uuid, uuid, uuid, text, text, text, text, text)",
	} {
		_, err := connect(t, b.db.Owner).Exec(t.Context(), "alter function lectern."+function+" reset search_path")
		require.NoError(t, err)
	}
	for name, statement := range commandsOn(uuid.New(), b.caller.OrganizationID, b.caller.UserID, newID(t)) {
		// A function of ours that was planted, or a table, which lacks the columns.
		require.Regexp(t, "hijacked|column .* does not exist", try(t, conn, statement), name)
	}
}
