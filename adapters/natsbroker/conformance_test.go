package natsbroker_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"lectern/adapters/natsbroker"
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
		Kind: "nats",
		New: func(t *testing.T) portstest.BrokerSystem {
			t.Helper()
			return newSystem(stack.NATS(t))
		},
		NewServer: func(t *testing.T) portstest.BrokerServer {
			t.Helper()
			s := stack.StartNATS(t, "")
			return &server{newSystem(stack.NATSStreams{Address: s.Address(), Prefix: "test."}), s}
		},
		RetryDelay: retryDelay,
		Visibility: lease,
		Exceptions: map[string]string{
			"OrderIsKeptPerSubjectBySeveralConsumers": "whichever consumer is free takes the next message",
		},
	})
}

// system is the streams of a prefix; each process reaches them through a proxy
// of its own.
type system struct {
	stack.NATSStreams
	proxies map[ports.Broker]*stack.Proxy
}

func newSystem(s stack.NATSStreams) *system {
	return &system{s, map[ports.Broker]*stack.Proxy{}}
}

func (s *system) Open(t *testing.T) ports.Broker {
	t.Helper()
	proxy := stack.NewProxy(t, host(s.Address))
	b := open(t, s.NATSStreams, map[string]any{
		"addresses":         []any{proxy.Addr()},
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

// PublishRaw publishes as a stranger does, without a header.
func (s *system) PublishRaw(t *testing.T, topic string, raw []byte) {
	t.Helper()
	_, err := admin(t, s.Address).Publish(t.Context(), s.Prefix+topic, raw)
	require.NoError(t, err)
}

// server is a system on a NATS of its own.
type server struct {
	*system
	nats *stack.NATSServer
}

func (s *server) Stop(t *testing.T) {
	t.Helper()
	s.nats.Kill()
}

func (s *server) Start(t *testing.T) {
	t.Helper()
	s.nats.Start()
}

// open opens a broker on a test's streams. raw may say otherwise.
func open(tb testing.TB, s stack.NATSStreams, raw map[string]any) *natsbroker.Broker {
	tb.Helper()
	all := map[string]any{"addresses": []any{host(s.Address)}, "topic_prefix": s.Prefix, "close_timeout": "200ms"}
	for key, value := range raw {
		all[key] = value
	}
	opts, err := natsbroker.DecodeOptions(all)
	require.NoError(tb, err)
	b, err := natsbroker.New(tb.Context(), opts, testLogger(tb))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, b.Close()) })
	return b
}

// admin is a client beside the broker.
func admin(tb testing.TB, address string) jetstream.JetStream {
	tb.Helper()
	conn, err := nats.Connect(address)
	require.NoError(tb, err)
	tb.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(tb, err)
	return js
}

func host(address string) string { return strings.TrimPrefix(address, "nats://") }

func testLogger(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(tb.Output(), nil))
}

// tryOpen returns why a broker can't be made.
func tryOpen(t *testing.T, raw map[string]any) error {
	t.Helper()
	opts, err := natsbroker.DecodeOptions(raw)
	require.NoError(t, err)
	_, err = natsbroker.New(t.Context(), opts, testLogger(t))
	return err
}
