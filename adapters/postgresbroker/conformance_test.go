package postgresbroker_test

import (
	"log/slog"
	"net/url"
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
			return &system{dsn: stack.Database(t, "lectern_broker").Broker, proxies: map[ports.Broker]*stack.Proxy{}}
		},
		RetryDelay: retryDelay,
		Visibility: lease,
	})
}

// system is a database; each process reaches it through a proxy of its own.
type system struct {
	dsn     string
	proxies map[ports.Broker]*stack.Proxy
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
