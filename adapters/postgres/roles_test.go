package postgres_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
	"lectern/migrations"
)

// forbidden is what a role gets that lacks a grant: an error, never no rows.
const forbidden = "42501"

func requireCode(t *testing.T, code string, err error, what ...string) {
	t.Helper()
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg, "want SQLSTATE %s of %v", code, what)
	require.Equal(t, code, pg.Code, "%v: %s", what, pg.Message)
}

// logins returns a connection for each of the service's roles, by its duty.
func (b *bundle) logins(t *testing.T) map[string]*pgx.Conn {
	t.Helper()
	return map[string]*pgx.Conn{"app": connect(t, b.db.App), "worker": connect(t, b.db.Worker), "relay": connect(t, b.db.Relay)}
}

// try runs a statement and takes it back.
func try(t *testing.T, conn *pgx.Conn, statement string) error {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), statement)
	require.NoError(t, tx.Rollback(t.Context()))
	return err
}

// list returns what a query finds, a text a row.
func list(t *testing.T, conn *pgx.Conn, query string, args ...any) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), query, args...)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return found
}

// Tries every table and column. What is not listed here is refused; a table
// that is not listed wants a decision.
func TestARoleTouchesNoTableThatItWasNotGranted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tables := map[string][]string{ // to what is granted, of a table or of a column
		"courses":          {"app select", "worker select"},
		"documents":        {"app select", "worker select"},
		"document_chunks":  {"worker select"},
		"job_outbox":       {"relay select", "relay update processed_at", "relay update last_attempt_at"},
		"idempotency_keys": {},
		"fsm_events":       {},
		"processed_jobs":   {},
		"leases":           {"relay select"},
		"relays":           {},
		"retention_runs":   {},
		"goose_db_version": {"app select", "worker select", "relay select"},
	}
	admin := connect(t, b.db.Superuser)
	require.ElementsMatch(t, slices.Collect(maps.Keys(tables)),
		list(t, admin, `select relname from pg_class where relnamespace = 'lectern'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')`))

	for role, conn := range b.logins(t) {
		for table, granted := range tables {
			attempts := map[string]string{
				"select": "select * from %s", "delete": "delete from %s", "truncate": "truncate %s",
				"lock":    "lock table %s in access exclusive mode",
				"trigger": "create trigger mine before insert on %s for each row execute function suppress_redundant_updates_trigger()",
			}
			for _, column := range list(t, admin, `select quote_ident(attname) from pg_attribute
				where attrelid = ('lectern.' || $1)::regclass and attnum > 0 and not attisdropped`, table) {
				attempts["select "+column] = "select " + column + " from %s"
				attempts["insert "+column] = "insert into %s (" + column + ") values (default)"
				attempts["update "+column] = "update %s set " + column + " = default where false"
			}
			for what, statement := range attempts {
				action, _, _ := strings.Cut(what, " ")
				err := try(t, conn, fmt.Sprintf(statement, "lectern."+table))
				if slices.Contains(granted, role+" "+what) || slices.Contains(granted, role+" "+action) {
					require.NoError(t, err, "%s: %s of %s", role, what, table)
				} else {
					requireCode(t, forbidden, err, role, what, table)
				}
			}
		}
		for _, copying := range []string{"copy lectern.idempotency_keys to stdout", "copy lectern.fsm_events to stdout", "copy lectern.processed_jobs to stdout"} {
			_, err := conn.PgConn().CopyTo(t.Context(), &strings.Builder{}, copying)
			requireCode(t, forbidden, err, role, copying)
		}
		for table := range tables {
			_, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader(""), "copy lectern."+table+" from stdin")
			requireCode(t, forbidden, err, role, "copy into", table)
		}
	}
}

// Calls every function. What is not listed here is refused; a function that is
// not listed wants a decision.
func TestARoleCallsNoFunctionThatItWasNotGranted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, worker, relay, nobody := []string{"app"}, []string{"worker"}, []string{"relay"}, []string{}
	functions := map[string][]string{
		"create_course": app, "add_document": app, "change_course_state": app, "course_events": app, "outbox_entries": app,
		// Layers 2 and 3 give the command as the workers.
		"initialize_fsm_with_outbox": {"app", "worker"},
		"begin_job":                  worker, "begin_fit_job": worker, "advance_course": worker, "fail_stalled_courses": worker,
		"unpark_due": relay, "park_failed": relay, "bury_entries": relay, "run_retention": relay,
		"partition_of": relay, "hold_leases": relay, "give_back_leases": relay, "claim_alone": relay, "acquit_alone": relay,
		"outbox_horizon": relay, "take_leases": nobody, "expire_leases": relay, "any_urgent": relay, "raise_courses": relay,
		"list_entries": app, "get_entry": app, "count_entries": app, "redrive_entries": app, "discard_entries": app,
		"hold_behind_dead": relay, "settle_stream": relay, "stalled_because": nobody,

		"is_state": nobody, "legal_transition": nobody, "guard_course_state": nobody, "guard_new_course": nobody,
		"delete_with_course": nobody, "refuse_entry": nobody, "are_options": nobody, "drop_expired_key": nobody, "answer_or_refuse": nobody,
		"check_tenant": nobody, "check_reader": nobody, "claim_key": nobody, "store_answer": nobody,
		"lock_course": nobody, "lock_own_course": nobody, "change_state": nobody, "clear_course": nobody, "fail_course": nobody,
		"add_event": nobody, "add_entries": nobody, "are_jobs": nobody, "refuse_command": nobody, "refuse_course": nobody, "check_key": nobody, "store_documents": nobody, "go_on": nobody,
		"bound_organization": nobody, "entry_predicate": nobody, "undead_refusal": nobody, "redrive_refusal": nobody, "make_ready": nobody,
		"released_by": nobody, "is_backing_off": nobody,
		"delete_expired_keys": nobody, "delete_processed_entries": nobody, "delete_inbox_rows": nobody,
	}
	admin := connect(t, b.db.Superuser)
	require.ElementsMatch(t, slices.Collect(maps.Keys(functions)), // none is overloaded
		list(t, admin, `select proname from pg_proc where pronamespace = 'lectern'::regnamespace`))

	for role, conn := range b.logins(t) {
		for name, granted := range functions {
			arguments := list(t, admin, `select 'null::' || t::regtype from pg_proc, unnest(proargtypes) with ordinality a (t, position)
				where pronamespace = 'lectern'::regnamespace and proname = $1 order by position`, name)
			err := try(t, conn, fmt.Sprintf("select lectern.%s(%s)", name, strings.Join(arguments, ", ")))
			if !slices.Contains(granted, role) {
				requireCode(t, forbidden, err, role, name)
				require.ErrorContains(t, err, "permission denied for function "+name)
				continue
			}
			var pg *pgconn.PgError
			if errors.As(err, &pg) { // it is called with nothing: it may say so
				require.NotEqual(t, forbidden, pg.Code, "%s: %s", name, pg.Message)
			}
		}
	}
}

func TestARoleUsesNoSequence(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sequences := list(t, connect(t, b.db.Superuser),
		`select relname from pg_class where relnamespace = 'lectern'::regnamespace and relkind = 'S' order by 1`)
	require.Contains(t, sequences, "job_outbox_seq")
	for role, conn := range b.logins(t) {
		for _, sequence := range sequences {
			for _, statement := range []string{
				"select nextval('lectern.%s')", "select currval('lectern.%s')", "select setval('lectern.%s', 1)",
				"select * from lectern.%s", "alter sequence lectern.%s restart",
			} {
				requireCode(t, forbidden, try(t, conn, fmt.Sprintf(statement, sequence)), role, statement, sequence)
			}
		}
	}
}

func TestARoleCanNotTakeWhatItWasNotGranted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	statements := []string{
		// The objects of the schema are the owner's.
		`create table lectern.mine (id int)`,
		`create view lectern.mine as select 1`,
		`create type lectern.mine as (a int)`,
		`create function lectern.is_state(state varchar) returns boolean language sql as 'select true'`,
		`create or replace function lectern.is_state(state text) returns boolean language sql as 'select true'`,
		`create operator lectern.= (leftarg = uuid, rightarg = uuid, function = uuid_eq)`,
		`alter function lectern.outbox_entries(uuid) reset search_path`,
		`alter function lectern.outbox_entries(uuid) security invoker`,
		`alter table lectern.courses disable trigger guard_course_state`,
		`alter table lectern.courses disable trigger all`,
		`drop trigger guard_course_state on lectern.courses`,
		`alter table lectern.courses drop constraint courses_state`,
		`alter table lectern.courses disable row level security`,
		`alter table lectern.courses owner to current_user`,
		`create policy mine on lectern.courses using (true)`,
		`alter policy own_organization on lectern.courses using (true)`,
		`drop policy own_organization on lectern.courses`,
		`create rule mine as on insert to lectern.courses do instead nothing`,
		`create index on lectern.courses (title)`,
		`drop table lectern.courses`,
		`drop schema lectern cascade`,
		`comment on table lectern.courses is 'mine'`,
		`create publication mine for table lectern.courses`,
		`create statistics lectern.mine on id, title from lectern.courses`,
		// The database is, too, and the server is the administrator's.
		`create schema mine`,
		`create event trigger mine on ddl_command_start execute function pg_event_trigger_ddl_commands()`,
		`set session_replication_role = replica`,
		`alter role current_user set session_replication_role = replica`,
		fmt.Sprintf(`alter database %s set search_path = public`, b.db.Name),
		`copy (select 1) to program 'true'`,
		`copy (select 1) to '/tmp/lectern-was-here'`,
		`select pg_read_file('PG_VERSION')`,
		`select rolpassword from pg_authid`,
		// Nobody becomes another, or more than he is.
		`set role lectern_owner`,
		`set session authorization lectern_owner`,
		`create role lectern_test_mine`,
		`alter role current_user bypassrls`,
		`alter role current_user createrole`,
		`grant lectern_owner to current_user`,
		`grant pg_read_all_data to current_user`,
		`grant all on lectern.fsm_events to current_user`,
		`grant execute on function lectern.add_event(uuid, text, jsonb, text, uuid) to current_user`,
		`alter default privileges for role lectern_owner grant all on tables to public`,
		`reassign owned by lectern_owner to current_user`,
	}
	extensions := list(t, connect(t, b.db.Superuser), `select distinct name from pg_available_extension_versions where not installed and requires is null`)
	for _, extension := range extensions {
		statements = append(statements, fmt.Sprintf("create extension %q", extension))
	}
	for role, conn := range b.logins(t) {
		for _, statement := range statements {
			requireCode(t, forbidden, try(t, conn, statement), role, statement)
		}
	}
	require.Equal(t, c, b.reload(t, c))
}

// Row security can be switched off for a query, but not looked around.
func TestWithoutRowSecurityARoleReadsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.course(t)
	for role, table := range map[string]string{"app": "courses", "worker": "document_chunks", "relay": "job_outbox"} {
		conn := b.logins(t)[role]
		_, err := conn.Exec(t.Context(), `set row_security = off`)
		require.NoError(t, err)
		requireCode(t, forbidden, try(t, conn, "select * from lectern."+table), role)
	}
}

func TestOpenRefusesRolesThatRowSecurityDoesNotHold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := postgres.Open(t.Context(), b.db.Superuser, 1)
	require.ErrorContains(t, err, "superuser")
	_, err = postgres.Open(t.Context(), b.db.Owner, 1)
	require.ErrorContains(t, err, "owns the tables")
	// It has become another role, and could become itself again.
	disguised, err := url.Parse(b.db.Superuser)
	require.NoError(t, err)
	disguised.RawQuery += "&options=-c%20role%3Dlectern_app"
	_, err = postgres.Open(t.Context(), disguised.String(), 1)
	require.ErrorContains(t, err, "superuser")
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
