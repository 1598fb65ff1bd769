package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestMain(m *testing.M) { stack.Main(m, stack.WithRedis) }

// foreign is a Postgres that is not Lectern's own: an empty database, and a
// prefix for roles that are dropped at the end.
type foreign struct {
	*stack.DB
	prefix string
	admin  *pgx.Conn
}

func newForeign(t *testing.T) *foreign {
	t.Helper()
	f := &foreign{DB: stack.Database(t), prefix: "t_" + strings.ToLower(rand.Text())}
	ctx := context.WithoutCancel(t.Context())
	admin, err := pgx.Connect(ctx, f.Superuser)
	require.NoError(t, err)
	f.admin = admin
	t.Cleanup(func() {
		rows, err := admin.Query(ctx, `select rolname from pg_roles where rolname like $1 || '\_%'`, f.prefix)
		require.NoError(t, err)
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, name := range names {
			_, err := admin.Exec(ctx, "drop owned by "+name+" cascade; drop role "+name)
			require.NoError(t, err)
		}
		require.NoError(t, admin.Close(ctx))
	})
	return f
}

func (f *foreign) exec(t *testing.T, statements string) {
	t.Helper()
	_, err := f.admin.Exec(t.Context(), statements)
	require.NoError(t, err)
}

// as returns the address of a role whose password is "secret-" and its name.
func (f *foreign) as(t *testing.T, role string) string {
	t.Helper()
	address, err := url.Parse(f.Superuser)
	require.NoError(t, err)
	address.User = url.UserPassword(role, "secret-"+role)
	return address.String()
}

// environ sets every address, but for what is given.
func (f *foreign) environ(t *testing.T, more ...string) []string {
	t.Helper()
	environ := []string{
		"LECTERN_CONFIG=postgres", "LECTERN_POSTGRES__ROLE_PREFIX=" + f.prefix, "LECTERN_POSTGRES__ADMIN_DSN=" + f.Superuser,
		"LECTERN_BROKER__OPTIONS__DSN=" + f.as(t, f.prefix+"_broker"),
	}
	for _, duty := range []string{"owner", "app", "worker", "relay"} {
		environ = append(environ, "LECTERN_POSTGRES__"+strings.ToUpper(duty)+"_DSN="+f.as(t, f.prefix+"_"+duty))
	}
	for _, pair := range more {
		name, _, _ := strings.Cut(pair, "=")
		environ = slices.DeleteFunc(environ, func(old string) bool { return strings.HasPrefix(old, name+"=") })
	}
	return append(environ, more...)
}

// serve runs the service, which ends by itself only when it refuses to start.
func serve(t *testing.T, environ []string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	p := &program{
		name: "lectern", stdout: &stdout, stderr: &stderr,
		environ: append([]string{"LECTERN_DATA_DIR=" + t.TempDir()}, environ...),
	}
	code := run(ctx, p, []string{"serve", "--listen", "127.0.0.1:0"})
	require.NoError(t, ctx.Err(), "it served")
	return result{code, stdout.String(), stderr.String()}
}

func TestOwnPostgresIsSetUpInThreeCommands(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	environ := f.environ(t)

	early := lectern(t, environ, "migrate", "up")
	require.Equal(t, exitFailure, early.code)
	for range 2 {
		made := lectern(t, environ, "migrate", "roles")
		require.Equal(t, result{stdout: strings.ReplaceAll("P_owner: has the password of postgres.owner_dsn\n"+
			"P_app: has the password of postgres.app_dsn\nP_worker: has the password of postgres.worker_dsn\n"+
			"P_relay: has the password of postgres.relay_dsn\nP_broker: has the password of broker.options.dsn\n", "P_", f.prefix+"_")}, made)
	}
	up := lectern(t, environ, "migrate", "up")
	require.Zero(t, up.code, up.stderr)
	listed := lectern(t, environ, "list") // the service, for as long as the list takes
	require.Zero(t, listed.code, listed.stderr)
}

// The broker that replaces them may be of another kind.
func TestRolesOfBrokersThatAreBeingReplacedAreMadeToo(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	old := func(i, dsn, schema string) []string {
		at := "LECTERN_BROKER__ALSO_CONSUME__" + i + "__"
		return []string{at + "KIND=postgres", at + "OPTIONS__DSN=" + dsn, at + "OPTIONS__SCHEMA=" + schema}
	}
	environ := slices.Concat(
		f.environ(t, "LECTERN_CONFIG=redis", "LECTERN_POSTGRES__EMBEDDED=false", "LECTERN_BROKER__OPTIONS__DSN="),
		old("0", f.as(t, f.prefix+"_old"), "first"), old("1", f.as(t, f.prefix+"_old"), "second"),
		old("2", strings.Replace(f.as(t, f.prefix+"_else"), f.Name, "elsewhere", 1), "third"),
	)
	environ = slices.DeleteFunc(environ, func(pair string) bool { return pair == "LECTERN_BROKER__OPTIONS__DSN=" })
	made := lectern(t, environ, "migrate", "roles")
	require.Zero(t, made.code, made.stderr)
	require.Contains(t, made.stdout, f.prefix+"_relay: has the password of postgres.relay_dsn\n"+
		f.prefix+"_old: has the password of broker.also_consume.0.options.dsn\n"+
		"broker.also_consume.2 (postgres) is not in this database: see to its role yourself\n")
	for _, schema := range []string{"first", "second"} {
		require.EqualValues(t, 1, execAs(t, f.as(t, f.prefix+"_old"), "select from pg_namespace where nspname = '"+schema+"' and nspowner = current_user::regrole"))
	}

	differ := lectern(t, append(environ, old("3", strings.Replace(f.as(t, f.prefix+"_old"), "secret", "another", 1), "fourth")...), "migrate", "roles")
	require.Equal(t, exitInput, differ.code)
	require.Contains(t, differ.stderr, "broker.also_consume.0.options.dsn and broker.also_consume.3.options.dsn log in as \""+f.prefix+"_old\" with different passwords")
	require.NotContains(t, differ.stderr, "another-")
}

func TestPrintedRolesAreSQLWithoutPasswords(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	environ := f.environ(t)
	printed := lectern(t, f.environ(t, "LECTERN_POSTGRES__ADMIN_DSN="), "migrate", "roles", "--print")
	require.Zero(t, printed.code, printed.stderr)
	require.NotContains(t, printed.stdout, "secret")
	require.Contains(t, printed.stdout, `--   \password `+f.prefix+"_app\n")

	for range 2 {
		f.exec(t, printed.stdout)
	}
	for _, role := range []string{"owner", "app", "worker", "relay", "broker"} {
		f.exec(t, "alter role "+f.prefix+"_"+role+" password 'secret-"+f.prefix+"_"+role+"'")
	}
	up := lectern(t, environ, "migrate", "up")
	require.Zero(t, up.code, up.stderr)
}

func TestRolesThatCanNotBeMadeAreSaidWhy(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	weak := f.prefix + "_weak"
	f.exec(t, "create role "+weak+" login password 'secret-"+weak+"'")
	for name, tc := range map[string]struct {
		environ []string
		want    string
	}{
		"a Postgres of Lectern's own": {[]string{"LECTERN_CONFIG=embedded"}, "a Postgres of Lectern's own has its roles"},
		"no administrator": {
			f.environ(t, "LECTERN_POSTGRES__ADMIN_DSN="),
			"postgres.admin_dsn: must be set while postgres.embedded is false: give the address in LECTERN_POSTGRES__ADMIN_DSN",
		},
		"a broken address": {f.environ(t, "LECTERN_POSTGRES__ADMIN_DSN=postgres://x:secret@:::"), "postgres.admin_dsn is not an address like"},
		"another database": {
			f.environ(t, "LECTERN_POSTGRES__OWNER_DSN="+strings.Replace(f.as(t, f.prefix+"_owner"), f.Name, "elsewhere", 1)),
			`postgres.admin_dsn names the database "` + f.Name + `" and postgres.owner_dsn "elsewhere"`,
		},
		"another duty's role": {
			f.environ(t, "LECTERN_POSTGRES__APP_DSN="+f.as(t, f.prefix+"_relay")),
			`postgres.app_dsn logs in as "` + f.prefix + `_relay", not as "` + f.prefix + `_app": change it, or postgres.role_prefix`,
		},
		"an administrator who may not": {
			f.environ(t, "LECTERN_POSTGRES__ADMIN_DSN="+f.as(t, weak)),
			"postgres.admin_dsn logs in as " + weak + ", which may not do this",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := lectern(t, tc.environ, "migrate", "roles")
			require.Equal(t, exitInput, got.code)
			require.Contains(t, got.stderr, tc.want)
			require.NotContains(t, got.stderr, "secret")
		})
	}
}

// Each address in turn is a role's that would serve, were it not refused.
func TestServiceRefusesARoleThatIsNotFit(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	for _, step := range []string{"roles", "up"} {
		done := lectern(t, f.environ(t), "migrate", step)
		require.Zero(t, done.code, done.stderr)
	}
	owner := f.prefix + "_owner"
	strong := map[string]string{
		"super":   "it is a superuser",
		"bypass":  "it has BYPASSRLS",
		"member":  `it is a member of "` + owner + `", which owns the tables`,
		"creator": "it has CREATEROLE",
		"copier":  "it has REPLICATION",
		"planter": "it may create in the schema lectern",
		"reader":  `it is a member of "pg_read_all_data", which passes over the grants`,
	}
	f.exec(t, strings.ReplaceAll(`
		create role P_super login superuser; create role P_bypass login bypassrls; create role P_creator login createrole;
		create role P_copier login replication;
		create role P_planter login; grant create on schema lectern to P_planter; create role P_member login in role P_owner; create role P_reader login in role pg_read_all_data;`, "P_", f.prefix+"_"))
	for role := range strong {
		f.exec(t, "alter role "+f.prefix+"_"+role+" password 'secret-"+f.prefix+"_"+role+"'")
	}
	strong["owner"] = "it owns the tables: the owner's address is for 'lectern migrate' alone"

	for _, key := range []string{"postgres.app_dsn", "postgres.worker_dsn", "postgres.relay_dsn", "broker.options.dsn", "broker.also_consume.0.options.dsn"} {
		variable := "LECTERN_" + strings.ReplaceAll(strings.ToUpper(key), ".", "__") + "="
		for role, reason := range strong {
			t.Run(key+" "+role, func(t *testing.T) {
				t.Parallel()
				environ := f.environ(t, variable+f.as(t, f.prefix+"_"+role))
				if strings.Contains(key, "also_consume") {
					environ = append(environ, "LECTERN_BROKER__ALSO_CONSUME__0__KIND=postgres")
				}
				got := serve(t, environ)
				require.Equal(t, exitInput, got.code, got.stderr)
				require.Contains(t, got.stderr, "use "+key+`: refuse database role "`+f.prefix+"_"+role+`": `+reason)
				require.Contains(t, got.stderr, "\n  log in as a role like "+f.prefix+"_")
				require.NotContains(t, got.stderr, "secret")
			})
		}
	}
}

func TestServiceRefusesARoleOfAnotherDuty(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	for _, step := range []string{"roles", "up"} {
		done := lectern(t, f.environ(t), "migrate", step)
		require.Zero(t, done.code, done.stderr)
	}
	f.exec(t, strings.ReplaceAll("create role P_both login password 'secret-P_both' in role P_app, P_worker", "P_", f.prefix+"_"))
	for name, tc := range map[string]struct{ duty, role, want string }{
		"the relay's for app":    {"app", "relay", "it may not call create_course, which the app needs"},
		"the app's for worker":   {"worker", "app", "it may call create_course, which is for the app, not for the worker"},
		"the worker's for relay": {"relay", "worker", "it may call advance_course, which is for the worker, not for the relay"},
		"the broker's for app":   {"app", "broker", "it may not call create_course, which the app needs"},
		// It would see every organization's courses.
		"one for app and worker": {"app", "both", "it may call advance_course, which is for the worker, not for the app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := serve(t, f.environ(t, "LECTERN_POSTGRES__"+strings.ToUpper(tc.duty)+"_DSN="+f.as(t, f.prefix+"_"+tc.role)))
			require.Equal(t, exitInput, got.code, got.stderr)
			require.Contains(t, got.stderr, "use postgres."+tc.duty+`_dsn: refuse database role "`+f.prefix+"_"+tc.role+`": `+tc.want)
		})
	}
}

// The brokers' profiles differ in nothing that concerns roles; and where the
// server is ours, nobody can name a role.
func TestEveryProfileRefusesARoleThatIsNotFit(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	for profile, tc := range map[string]struct {
		environ []string
		want    string
	}{
		"embedded": {[]string{"LECTERN_POSTGRES__APP_DSN=" + f.Superuser}, "postgres.app_dsn: must not be set beside postgres.embedded: remove one of them"},
		"memory": {
			[]string{
				"LECTERN_POSTGRES__EMBEDDED=false", "LECTERN_POSTGRES__APP_DSN=" + f.Superuser,
				"LECTERN_POSTGRES__WORKER_DSN=" + f.Worker, "LECTERN_POSTGRES__RELAY_DSN=" + f.Relay,
			},
			"it is a superuser, whom row security does not hold",
		},
		"postgres": {
			[]string{
				"LECTERN_POSTGRES__APP_DSN=" + f.App, "LECTERN_POSTGRES__WORKER_DSN=" + f.Worker, "LECTERN_POSTGRES__RELAY_DSN=" + f.Superuser,
				"LECTERN_BROKER__OPTIONS__DSN=" + f.Broker,
			},
			"it is a superuser, whom row security does not hold",
		},
	} {
		t.Run(profile, func(t *testing.T) {
			got := serve(t, append(tc.environ, "LECTERN_CONFIG="+profile))
			require.Equal(t, exitInput, got.code, got.stderr)
			require.Contains(t, got.stderr, tc.want)
		})
	}
}

func TestBrokerOfASuperuserIsNotRegisteredEither(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	made := lectern(t, f.environ(t), "migrate", "roles")
	require.Zero(t, made.code, made.stderr)
	up := lectern(t, f.environ(t, "LECTERN_BROKER__OPTIONS__DSN="+f.Superuser), "migrate", "up")
	require.Equal(t, exitInput, up.code)
	require.Contains(t, up.stderr, "use broker.options.dsn: refuse database role")
}
