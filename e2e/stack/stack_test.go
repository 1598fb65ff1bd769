package stack_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern/e2e/stack"
)

// victim, when set, makes this test binary a program that a test kills: it runs a
// command with Redis, which says where that is and waits for its input to end.
const victim = "LECTERN_TEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victim) != "" {
		code, err := stack.Run(context.Background(), []string{"sh", "-c", `echo "$LECTERN_TEST_REDIS"; read -r _`}, stack.WithRedis)
		fmt.Fprintln(os.Stderr, "the victim ended by itself:", err)
		os.Exit(max(code, 1))
	}
	stack.Main(m, stack.WithRedis, stack.WithKafka, stack.WithNATS, stack.WithS3)
}

func TestDatabaseIsEmptyAndOfTheOwner(t *testing.T) {
	db := stack.Database(t)
	const tables = "SELECT count(*)::int FROM pg_class WHERE relnamespace = 'public'::regnamespace"
	if n := query[int](t, db.App, tables); n != 0 {
		t.Errorf("a new database has %d tables", n)
	}
	const whose = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()"
	if got := query[string](t, db.App, whose); got != stack.OwnerRole {
		t.Errorf("the database is %s's, want %s's", got, stack.OwnerRole)
	}
}

func TestEachAddressIsItsRolesAndNoMore(t *testing.T) {
	db := stack.Database(t)
	const powers = `SELECT concat_ws(' ', current_user, current_database(), CASE WHEN rolcreaterole THEN 'createrole' END,
		CASE WHEN rolsuper THEN 'super' END, CASE WHEN rolbypassrls THEN 'bypassrls' END)
		FROM pg_roles WHERE rolname = current_user`
	for want, address := range map[string]string{
		stack.OwnerRole + " " + db.Name + " createrole": db.Owner,
		stack.AppRole + " " + db.Name:                   db.App,
		stack.WorkerRole + " " + db.Name:                db.Worker,
		stack.RelayRole + " " + db.Name:                 db.Relay,
		stack.BrokerRole + " " + db.Name:                db.Broker,
	} {
		if got := query[string](t, address, powers); got != want {
			t.Errorf("an address leads to %q, want %q", got, want)
		}
	}
	if !query[bool](t, db.Superuser, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") {
		t.Error("the superuser's address is not a superuser's")
	}
}

func TestTestsDoNotShareDatabases(t *testing.T) {
	for range 2 {
		t.Run("one of two", func(t *testing.T) {
			t.Parallel()
			run(t, stack.Database(t).Owner, "CREATE TABLE mine ()")
		})
	}
}

func TestDatabaseGoesWithItsTestThoughSomebodyIsConnected(t *testing.T) {
	var name string
	t.Run("a test", func(t *testing.T) {
		db := stack.Database(t)
		name = db.Name
		conn, err := pgx.Connect(t.Context(), db.App)
		must(t, err)
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	})
	const count = "SELECT count(*)::int FROM pg_database WHERE datname = $1"
	if n := query[int](t, stack.Database(t).Superuser, count, name); n != 0 {
		t.Errorf("database %s is still there", name)
	}
}

func TestBrokerSchemasAreTheBrokers(t *testing.T) {
	run(t, stack.Database(t, "broker").Broker, "CREATE TABLE broker.messages ()")
}

func TestRunReturnsTheExitCode(t *testing.T) {
	for script, want := range map[string]int{
		"exit 0":        0,
		"exit 7":        7,
		"kill -KILL $$": 137,
		"trap 'exit 9' TERM; kill -TERM $PPID; while :; do sleep 1; done": 9,
	} {
		t.Run(script, func(t *testing.T) {
			code, err := stack.Run(t.Context(), []string{"sh", "-c", script})
			must(t, err)
			if code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
		})
	}
}

func TestRunStartsAServerAndStopsIt(t *testing.T) {
	temp := stack.Dir(t)
	t.Setenv("TMPDIR", temp)
	t.Setenv(stack.PostgresVariable, "")
	said := filepath.Join(stack.Dir(t), "said")
	code, err := stack.Run(t.Context(), []string{"sh", "-c", `printf %s "$LECTERN_TEST_POSTGRES" > "$0"`, said})
	must(t, err)
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	address, err := os.ReadFile(said)
	must(t, err)
	if !strings.HasPrefix(string(address), "postgres://") {
		t.Fatalf("the command was given %q", address)
	}
	if conn, err := pgx.Connect(t.Context(), string(address)); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the server is still there")
	}
	left, err := filepath.Glob(filepath.Join(temp, "lectern-stack-*", "postgres"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func query[T any](t *testing.T, address, sql string, args ...any) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	var value T
	must(t, conn.QueryRow(t.Context(), sql, args...).Scan(&value))
	return value
}

func run(t *testing.T, address, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), sql)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
