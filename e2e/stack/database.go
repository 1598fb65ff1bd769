package stack

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern/adapters/embeddedpostgres"
)

// DB is a database of one test. The fields are its postgres:// addresses, one a role.
type DB struct {
	Name string
	// Owner may create roles and owns the database. Like those that follow it is
	// no superuser and not exempt from row level security.
	Owner                      string
	App, Worker, Relay, Broker string
	Superuser                  string
}

// Database makes an empty database, and drops it, whoever is still connected,
// when the test ends. The schemas named are made in it, the broker's role's own.
// Tests may call it in parallel.
func Database(tb testing.TB, brokerSchemas ...string) *DB {
	tb.Helper()
	address := os.Getenv(PostgresVariable)
	if address == "" {
		tb.Fatalf("%s is not set: let TestMain call stack.Main, or run under with-stack", PostgresVariable)
	}
	return database(tb, address, brokerSchemas)
}

// Postgres15 is Database on the server of version 15 that LECTERN_TEST_POSTGRES15
// names, or on one that starts, which takes seconds, and ends with the test.
func Postgres15(tb testing.TB, brokerSchemas ...string) *DB {
	tb.Helper()
	if address := os.Getenv(Postgres15Variable); address != "" {
		if err := ensureRoles(tb.Context(), Postgres15Variable); err != nil {
			tb.Fatal(err)
		}
		return database(tb, address, brokerSchemas)
	}
	server, err := startEmbedded(tb.Context(), embeddedpostgres.V15)
	if err != nil {
		tb.Fatalf("there is no Postgres 15 for the test: %v: or set %s to a superuser's postgres:// address "+
			"of a server of that version that is used for tests alone", err, Postgres15Variable)
	}
	tb.Cleanup(func() {
		if err := server.stop(); err != nil {
			tb.Error(err)
		}
	})
	return database(tb, server.address, brokerSchemas)
}

func database(tb testing.TB, address string, brokerSchemas []string) *DB {
	tb.Helper()
	server, err := url.Parse(address)
	if err != nil || server.Host == "" {
		tb.Fatal("the server's address is not of the form postgres://USER:PASSWORD@HOST:PORT")
	}
	db := newDB(server, "lectern_test_"+strings.ToLower(rand.Text()))
	tb.Cleanup(func() { drop(tb, server.String(), db.Name) })
	schemas := make(map[string]string)
	for _, schema := range brokerSchemas {
		schemas[schema] = BrokerRole
	}
	err = embeddedpostgres.EnsureDatabase(tb.Context(), server.String(), embeddedpostgres.Database{
		Name: db.Name, Owner: OwnerRole, Schemas: schemas,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func newDB(server *url.URL, name string) *DB {
	as := func(role string) string {
		address := *server
		address.Path = "/" + name
		if role != "" {
			password, _ := server.User.Password()
			address.User = url.UserPassword(role, password)
		}
		return address.String()
	}
	return &DB{
		Name:      name,
		Owner:     as(OwnerRole),
		App:       as(AppRole),
		Worker:    as(WorkerRole),
		Relay:     as(RelayRole),
		Broker:    as(BrokerRole),
		Superuser: as(""),
	}
}

// drop has a context of its own: the test's has ended.
func drop(tb testing.TB, address, name string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		tb.Errorf("connect to drop database %s: %v", name, err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		tb.Errorf("drop database %s: %v", name, err)
	}
}

// Dir makes a folder for a test and removes it at the end. Other than
// tb.TempDir's, the embedded server can use it, or a folder in it, when we are root.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir, err := tempDir()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove temporary folder: %v", err)
		}
	})
	return dir
}
