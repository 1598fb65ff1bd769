package postgresbroker_test

import (
	"log/slog"
	"testing"
	"time"

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
		New: func(t *testing.T) portstest.BrokerSystem {
			t.Helper()
			return &system{dsn: stack.Database(t, "lectern_broker").Broker, proxies: map[ports.Broker]*proxy{}}
		},
		RetryDelay: retryDelay,
		Visibility: lease,
	})
}

// system is a database; each process reaches it through a proxy of its own.
type system struct {
	dsn     string
	proxies map[ports.Broker]*proxy
}

func (s *system) Open(t *testing.T) ports.Broker {
	t.Helper()
	proxy, dsn := newProxy(t, s.dsn)
	b := open(t, dsn, map[string]any{
		"concurrency":       portstest.BrokerConcurrency,
		"max_message_bytes": portstest.BrokerMaxMessageBytes,
		"close_timeout":     portstest.BrokerCloseTimeout,
		"retry_delay":       retryDelay,
		"lease":             lease,
	})
	s.proxies[b] = proxy
	return b
}

func (s *system) Sever(t *testing.T, b ports.Broker) {
	t.Helper()
	s.proxies[b].sever()
}

func open(t testing.TB, dsn string, raw map[string]any) *postgresbroker.Broker {
	t.Helper()
	raw["dsn"] = dsn
	opts, err := postgresbroker.DecodeOptions(raw)
	require.NoError(t, err)
	b, err := postgresbroker.New(t.Context(), opts, testLogger(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func testLogger(t testing.TB) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
