package migrations_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"lectern/e2e/stack"
	"lectern/migrations"
)

// newRoles names roles that no other test has, and drops them at the end with
// what they own in db.
func newRoles(t *testing.T, db *stack.DB, others ...string) migrations.Roles {
	t.Helper()
	prefix := "t_" + strings.ToLower(rand.Text())
	roles := migrations.Roles{Prefix: prefix, Owner: prefix + "_owner", Brokers: []migrations.Schema{{Name: "lectern_broker", Owner: prefix + "_broker"}}}
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), db.Superuser)
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(context.Background())) }()
		for _, suffix := range append([]string{"owner", "app", "worker", "relay", "broker"}, others...) {
			_, err := conn.Exec(context.Background(), `do $$ begin
				if exists (select from pg_roles where rolname = '`+prefix+"_"+suffix+`') then
					drop owned by `+prefix+"_"+suffix+` cascade;
				end if;
			end $$;
			drop role if exists `+prefix+"_"+suffix)
			require.NoError(t, err)
		}
	})
	return roles
}

// as returns an address for another login.
func as(t *testing.T, dsn, role, password string) string {
	t.Helper()
	address, err := url.Parse(dsn)
	require.NoError(t, err)
	address.User = url.UserPassword(role, password)
	return address.String()
}

func exec(t *testing.T, db *sql.DB, statements string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), statements)
	require.NoError(t, err)
}

func TestOwnerWhoMayNotCreateRolesNeedsThemMade(t *testing.T) {
	t.Parallel()
	at := stack.Database(t)
	admin := open(t, at.Superuser)
	roles := newRoles(t, at)
	exec(t, admin, `create role `+roles.Owner+` login nocreaterole nosuperuser nobypassrls password 'pw';
		grant create on database `+at.Name+` to `+roles.Owner)
	m := migrator(t, open(t, as(t, at.Superuser, roles.Owner, "pw")), roles.Prefix)

	_, err := m.Up(t.Context())
	require.ErrorContains(t, err, "the role "+roles.Prefix+"_app is missing and "+roles.Owner+" may not create it")
	require.ErrorContains(t, err, "lectern migrate roles")

	require.NoError(t, roles.Ensure(t.Context(), admin, nil))
	_, err = m.Up(t.Context())
	require.NoError(t, err)
	var strong int
	require.NoError(t, admin.QueryRowContext(t.Context(), `select count(*) from pg_roles where rolname like $1 || '\_%'
		and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)`, roles.Prefix).Scan(&strong))
	require.Zero(t, strong)
}

func TestRolesMayBeMadeAgainAndByManyAtOnce(t *testing.T) {
	t.Parallel()
	one, other := stack.Database(t), stack.Database(t)
	roles := newRoles(t, one)
	t.Cleanup(func() { // what they own in the other one must go first
		conn, err := pgx.Connect(context.Background(), other.Superuser)
		require.NoError(t, err)
		_, err = conn.Exec(context.Background(), `drop owned by `+roles.Owner+`, `+roles.Brokers[0].Owner+` cascade`)
		require.NoError(t, err)
		require.NoError(t, conn.Close(context.Background()))
	})
	passwords := map[string]string{roles.Owner: "первый пароль", roles.Prefix + "_app": "app's \\ secret", roles.Prefix + "_relay": "🐝"}
	admins := []*sql.DB{open(t, one.Superuser), open(t, other.Superuser)}

	var group errgroup.Group
	for i := range 12 {
		group.Go(func() error { return roles.Ensure(t.Context(), admins[i%2], passwords) })
	}
	require.NoError(t, group.Wait())

	for role, password := range passwords {
		require.NoError(t, open(t, as(t, one.Superuser, role, password)).PingContext(t.Context()), role)
		require.ErrorContains(t, open(t, as(t, one.Superuser, role, password+"x")).PingContext(t.Context()), "password authentication failed")
	}
	require.Error(t, open(t, as(t, one.Superuser, roles.Prefix+"_worker", "")).PingContext(t.Context()), "it was given no password")
	for _, admin := range admins {
		var owners string
		require.NoError(t, admin.QueryRowContext(t.Context(), `select string_agg(nspowner::regrole::text, ' ' order by nspname)
			from pg_namespace where nspname like 'lectern%'`).Scan(&owners))
		require.Equal(t, roles.Owner+" "+roles.Brokers[0].Owner, owners)
	}

	passwords[roles.Owner] = "the next"
	require.NoError(t, roles.Ensure(t.Context(), admins[0], passwords))
	require.NoError(t, open(t, as(t, one.Superuser, roles.Owner, "the next")).PingContext(t.Context()))
}

// statements gathers what is sent to a server.
type statements struct {
	mu   sync.Mutex
	sent strings.Builder
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.WriteString(data.SQL)
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestPasswordNeverReachesTheServer(t *testing.T) {
	t.Parallel()
	at := stack.Database(t)
	roles := newRoles(t, at)
	config, err := pgx.ParseConfig(at.Superuser)
	require.NoError(t, err)
	seen := &statements{}
	config.Tracer = seen
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { require.NoError(t, db.Close()) })

	require.NoError(t, roles.Ensure(t.Context(), db, map[string]string{roles.Owner: "hunter2hunter2"}))

	require.Contains(t, seen.sent.String(), `alter role "`+roles.Owner+`" password 'SCRAM-SHA-256$4096:`)
	require.NotContains(t, seen.sent.String(), "hunter2")
	require.NoError(t, open(t, as(t, at.Superuser, roles.Owner, "hunter2hunter2")).PingContext(t.Context()))
}

func TestRoleThatIsTooStrongIsRefusedAndLeftAsItIs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ role, attributes, want string }{
		"an owner that is a superuser": {"_owner", "login superuser", "is there already and is a superuser"},
		"a relay that is a superuser":  {"_relay", "login superuser", "is there already and is a superuser"},
		"an app that has BYPASSRLS":    {"_app", "login bypassrls", "is there already and has BYPASSRLS"},
		"a worker without login":       {"_worker", "nologin", "is there already and may not log in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := stack.Database(t)
			admin := open(t, at.Superuser)
			roles := newRoles(t, at)
			exec(t, admin, `create role `+roles.Prefix+tc.role+" "+tc.attributes)
			before := attributes(t, admin, roles.Prefix)

			err := roles.Ensure(t.Context(), admin, map[string]string{roles.Prefix + tc.role: "pw"})

			require.ErrorContains(t, err, "the role "+roles.Prefix+tc.role+" "+tc.want)
			require.Equal(t, before, attributes(t, admin, roles.Prefix), "all or nothing")
		})
	}
}

// attributes returns every role of a prefix with what it may do.
func attributes(t *testing.T, admin *sql.DB, prefix string) string {
	t.Helper()
	var all string
	require.NoError(t, admin.QueryRowContext(t.Context(),
		`select coalesce(json_agg(a order by rolname), '[]') from pg_authid a where rolname like $1 || '\_%'`, prefix).Scan(&all))
	return all
}

func TestAdministratorNeedsNoSuperuser(t *testing.T) {
	t.Parallel()
	at := stack.Database(t)
	super := open(t, at.Superuser)
	roles := newRoles(t, at, "admin")
	dba := roles.Prefix + "_admin"
	exec(t, super, `create role `+dba+` login createrole password 'pw'; alter database `+at.Name+` owner to `+dba)
	t.Cleanup(func() { // a database's owner can't be dropped
		conn, err := pgx.Connect(context.Background(), at.Superuser)
		require.NoError(t, err)
		_, err = conn.Exec(context.Background(), `alter database `+at.Name+` owner to current_user`)
		require.NoError(t, err)
		require.NoError(t, conn.Close(context.Background()))
	})
	admin := open(t, as(t, at.Superuser, dba, "pw"))

	for range 2 {
		require.NoError(t, roles.Ensure(t.Context(), admin, map[string]string{roles.Owner: "own", roles.Prefix + "_app": "app"}))
	}
	_, err := migrator(t, open(t, as(t, at.Superuser, roles.Owner, "own")), roles.Prefix).Up(t.Context())
	require.NoError(t, err)
	app := open(t, as(t, at.Superuser, roles.Prefix+"_app", "app"))
	exec(t, app, `select from lectern.courses`)
	require.NoError(t, roles.Ensure(t.Context(), admin, nil), "once the schema is there")
}

func TestAdministratorWhoMayNotIsToldSo(t *testing.T) {
	t.Parallel()
	at := stack.Database(t)
	super := open(t, at.Superuser)
	roles := newRoles(t, at, "admin")
	dba := roles.Prefix + "_admin"
	exec(t, super, `create role `+dba+` login password 'pw'`)
	admin := open(t, as(t, at.Superuser, dba, "pw"))
	mayNot := func(want string) {
		t.Helper()
		err := roles.Ensure(t.Context(), admin, map[string]string{roles.Owner: "own"})
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg)
		require.Equal(t, "42501", pg.Code)
		require.ErrorContains(t, err, want)
	}

	mayNot("the role " + roles.Owner + " is missing and " + dba + " may not create it")
	exec(t, super, `alter role `+dba+` createrole`)
	mayNot(dba + " may not let " + roles.Owner + " create the schema lectern in the database " + at.Name)
}

func TestRolesNeedPlainNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	for name, roles := range map[string]migrations.Roles{
		"a bad prefix":            {Prefix: "A-b", Owner: "o"},
		"an empty owner":          {Prefix: "a", Owner: ""},
		"an owner that ends text": {Prefix: "a", Owner: "o'; drop"},
		"an owner with dollars":   {Prefix: "a", Owner: "o$$"},
		"a broker's odd schema":   {Prefix: "a", Owner: "o", Brokers: []migrations.Schema{{Name: "x'", Owner: "b"}}},
		"an owner that serves":    {Prefix: "a", Owner: "a_app"},
		"a broker that owns":      {Prefix: "a", Owner: "o", Brokers: []migrations.Schema{{Name: "s", Owner: "o"}}},
	} {
		_, err := roles.SQL()
		require.Error(t, err, name)
	}
}
