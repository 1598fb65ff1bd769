package postgresbroker_test

import (
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgresbroker"
	"lectern/e2e/stack"
	"lectern/ports"
	"lectern/ports/portstest"
)

const (
	patience   = 30 * time.Second
	tick       = 10 * time.Millisecond
	retryDelay = 20 * time.Millisecond
	lease      = time.Second
)

func TestConformance(t *testing.T) {
	portstest.TestBroker(t, portstest.BrokerHarness{
		Kind: "postgres",
		New: func(t *testing.T) portstest.BrokerSystem {
			t.Helper()
			return newSystem(stack.Database(t, "lectern_broker"))
		},
		NewServer: func(t *testing.T) portstest.BrokerServer {
			t.Helper()
			s := stack.StartPostgres(t)
			return &server{newSystem(s.Database(t, "lectern_broker")), s}
		},
		RetryDelay: retryDelay,
		Visibility: lease,
		Exceptions: map[string]string{
			"OrderIsKeptPerSubjectBySeveralConsumers": "whichever consumer is free takes the next message",
		},
	})
}

// system is a database; each process reaches it through a proxy of its own.
type system struct {
	dsn     string
	proxies map[ports.Broker]*stack.Proxy
}

func newSystem(db *stack.DB) *system {
	return &system{dsn: db.Broker, proxies: map[ports.Broker]*stack.Proxy{}}
}

func (s *system) Open(t *testing.T) ports.Broker {
	t.Helper()
	address, err := url.Parse(s.dsn)
	require.NoError(t, err)
	proxy := stack.NewProxy(t, address.Host)
	address.Host = proxy.Addr()
	b := open(t, address.String(), map[string]any{
		"concurrency":       portstest.BrokerConcurrency,
		"max_message_bytes": portstest.BrokerMaxMessageBytes,
		"max_deliveries":    portstest.BrokerMaxDeliveries,
		"timeout":           portstest.BrokerTimeout.String(),
		"close_timeout":     portstest.BrokerCloseTimeout.String(),
		"retry_delay":       retryDelay.String(),
		"lease":             lease.String(),
	})
	s.proxies[b] = proxy
	return b
}

func (s *system) Sever(t *testing.T, b ports.Broker) {
	t.Helper()
	s.proxies[b].Sever()
}

func (s *system) Stall(t *testing.T, b ports.Broker) {
	t.Helper()
	s.proxies[b].Stall()
}

func (s *system) Restore(t *testing.T, b ports.Broker) {
	t.Helper()
	s.proxies[b].Restore()
}

// PublishRaw makes rows whose metadata is a list.
func (s *system) PublishRaw(t *testing.T, topic string, raw []byte) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), `INSERT INTO lectern_broker.messages (topic, group_name, uuid, payload, metadata)
		SELECT topic, group_name, 'by hand', $2, '["not", "ours"]' FROM lectern_broker.subscriptions WHERE topic = $1`, topic, raw)
	require.NoError(t, err)
}

// server is a system on a Postgres of its own.
type server struct {
	*system
	postgres *stack.PostgresServer
}

func (s *server) Stop(t *testing.T) {
	t.Helper()
	s.postgres.Stop()
}

func (s *server) Start(t *testing.T) {
	t.Helper()
	s.postgres.Start()
}

func open(tb testing.TB, dsn string, raw map[string]any) *postgresbroker.Broker {
	tb.Helper()
	raw["dsn"] = dsn
	opts, err := postgresbroker.DecodeOptions(raw)
	require.NoError(tb, err)
	b, err := postgresbroker.New(tb.Context(), opts, testLogger(tb))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, b.Close()) })
	return b
}

func testLogger(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(tb.Output(), nil))
}
