package kafkabroker_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/adapters/kafkabroker"
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
		Kind: "kafka",
		New: func(t *testing.T) portstest.BrokerSystem {
			t.Helper()
			return newSystem(stack.Kafka(t))
		},
		NewServer: func(t *testing.T) portstest.BrokerServer {
			t.Helper()
			kafka := stack.StartKafka(t)
			return &server{newSystem(stack.KafkaTopics{Addresses: []string{kafka.Address()}, Prefix: "test."}), kafka}
		},
		RetryDelay: retryDelay,
		Visibility: lease,
	})
}

// system is a share of the Kafka of the run; each process reaches it through a
// proxy of its own.
type system struct {
	kafka   stack.KafkaTopics
	proxies map[ports.Broker]*stack.Proxy
}

func newSystem(k stack.KafkaTopics) *system {
	return &system{kafka: k, proxies: map[ports.Broker]*stack.Proxy{}}
}

func (s *system) Open(t *testing.T) ports.Broker {
	t.Helper()
	proxy := stack.NewProxy(t, s.kafka.Addresses[0])
	b := openThrough(t, proxy, s.kafka, map[string]any{
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

// PublishRaw sends a header that is no text.
func (s *system) PublishRaw(t *testing.T, topic string, raw []byte) {
	t.Helper()
	produce(t, s.kafka, &kgo.Record{Topic: s.kafka.Prefix + topic, Value: raw, Headers: []kgo.RecordHeader{{Key: "key", Value: []byte("\xff")}}})
}

// server is a system on a Kafka of its own.
type server struct {
	*system
	kafka *stack.KafkaServer
}

func (s *server) Stop(t *testing.T) {
	t.Helper()
	s.kafka.Kill()
}

func (s *server) Start(t *testing.T) {
	t.Helper()
	s.kafka.Start()
}

// produce publishes past the adapter.
func produce(tb testing.TB, k stack.KafkaTopics, records ...*kgo.Record) {
	tb.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addresses...))
	require.NoError(tb, err)
	defer client.Close()
	require.NoError(tb, client.ProduceSync(tb.Context(), records...).FirstErr())
}

// open returns a broker for a test's share of the Kafka.
func open(tb testing.TB, k stack.KafkaTopics, raw map[string]any) *kafkabroker.Broker {
	tb.Helper()
	return closing(tb)(kafkabroker.New(tb.Context(), decode(tb, k, raw), testLogger(tb)))
}

// openThrough has every connection pass a proxy: clients go to the addresses
// that the brokers tell them, not to the one they were given.
func openThrough(tb testing.TB, proxy *stack.Proxy, k stack.KafkaTopics, raw map[string]any) *kafkabroker.Broker {
	tb.Helper()
	var dialer net.Dialer
	return closing(tb)(kafkabroker.NewDialing(decode(tb, k, raw), testLogger(tb), func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, proxy.Addr())
	}))
}

func closing(tb testing.TB) func(*kafkabroker.Broker, error) *kafkabroker.Broker {
	return func(b *kafkabroker.Broker, err error) *kafkabroker.Broker {
		tb.Helper()
		require.NoError(tb, err)
		tb.Cleanup(func() { require.NoError(tb, b.Close()) })
		return b
	}
}

func decode(tb testing.TB, k stack.KafkaTopics, raw map[string]any) kafkabroker.Options {
	tb.Helper()
	raw["addresses"], raw["topic_prefix"] = k.Addresses, k.Prefix
	opts, err := kafkabroker.DecodeOptions(raw)
	require.NoError(tb, err)
	return opts
}

func testLogger(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(tb.Output(), nil))
}
