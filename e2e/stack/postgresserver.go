package stack

import (
	"context"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"

	"lectern/adapters/embeddedpostgres"
)

// PostgresServer is a Postgres for one test alone, which may go down. Its
// methods end the test when they fail, so call them on the test's goroutine.
type PostgresServer struct {
	tb      testing.TB
	dir     string
	server  *embeddedpostgres.Server // nil while down
	address string                   // the superuser's, by way of the proxy
	proxy   *Proxy
}

// StartPostgres starts an empty Postgres that ends with the test. Tests that
// need no outage use Database, which costs less.
func StartPostgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	s := &PostgresServer{tb: tb, dir: filepath.Join(Dir(tb), "postgres")}
	tb.Cleanup(s.Stop)
	s.Start()
	return s
}

// Database is the package's Database on this server.
func (s *PostgresServer) Database(tb testing.TB, brokerSchemas ...string) *DB {
	tb.Helper()
	return database(tb, s.address, brokerSchemas)
}

// Stop ends the server at once, as a crash does: connections break, what was
// committed stays. One that is down stays so.
func (s *PostgresServer) Stop() {
	s.tb.Helper()
	if s.server == nil {
		return
	}
	atOnce, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.server.Stop(atOnce) // says that this was not in order
	s.server = nil
}

// Start brings a server that was stopped up again, with its data, at the same
// addresses.
func (s *PostgresServer) Start() {
	s.tb.Helper()
	if s.server != nil {
		s.tb.Fatal("start Postgres: it is running")
	}
	server, err := embeddedpostgres.Start(s.tb.Context(), options(s.dir, embeddedpostgres.V18))
	if err != nil {
		s.tb.Fatalf("start Postgres: %v", err)
	}
	s.server = server
	s.lead(server)
}

// lead has the addresses lead to the server, whose port is another each time.
func (s *PostgresServer) lead(server *embeddedpostgres.Server) {
	s.tb.Helper()
	host := net.JoinHostPort("127.0.0.1", strconv.Itoa(server.Port()))
	if s.proxy != nil {
		s.proxy.Lead(host)
		return
	}
	s.proxy = NewProxy(s.tb, host)
	address, err := url.Parse(server.SuperuserDSN())
	if err != nil {
		s.tb.Fatalf("read address of Postgres: %v", err)
	}
	address.Host = s.proxy.Addr()
	s.address = address.String()
}
