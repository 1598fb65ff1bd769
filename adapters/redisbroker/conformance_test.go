package redisbroker_test

import (
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/adapters/redisbroker"
	"lectern/e2e/stack"
	"lectern/ports"
	"lectern/ports/portstest"
)

const (
	patience   = 30 * time.Second // bounds every wait for something that must happen
	tick       = 10 * time.Millisecond
	retryDelay = 20 * time.Millisecond
	lease      = time.Second
	prefix     = "lectern:" // the default
)

func TestConformance(t *testing.T) {
	portstest.TestBroker(t, portstest.BrokerHarness{
		Kind: "redis",
		New: func(t *testing.T) portstest.BrokerSystem {
			t.Helper()
			return newSystem(stack.Redis(t))
		},
		NewServer: func(t *testing.T) portstest.BrokerServer {
			t.Helper()
			s := stack.StartDurableRedis(t)
			return &server{newSystem(s.Address()), s}
		},
		RetryDelay: retryDelay,
		Visibility: lease,
		Exceptions: map[string]string{
			"OrderIsKeptPerSubjectBySeveralConsumers": "whichever consumer is free takes the next message",
		},
	})
}

// system is a database of a Redis; each process reaches it through a proxy of
// its own.
type system struct {
	url     string
	proxies map[ports.Broker]*stack.Proxy
}

func newSystem(url string) *system {
	return &system{url: url, proxies: map[ports.Broker]*stack.Proxy{}}
}

func (s *system) Open(t *testing.T) ports.Broker {
	t.Helper()
	address, err := url.Parse(s.url)
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

// PublishRaw adds an entry without the field of a message's id.
func (s *system) PublishRaw(t *testing.T, topic string, raw []byte) {
	t.Helper()
	add(t, admin(t, s.url), topic, map[string]any{"payload": raw})
}

// server is a system on a Redis of its own.
type server struct {
	*system
	redis *stack.RedisServer
}

func (s *server) Stop(t *testing.T) {
	t.Helper()
	s.redis.Stop()
}

func (s *server) Start(t *testing.T) {
	t.Helper()
	s.redis.Start()
}

// open opens a broker on the database of a redis:// address.
func open(tb testing.TB, address string, raw map[string]any) *redisbroker.Broker {
	tb.Helper()
	at, err := url.Parse(address)
	require.NoError(tb, err)
	raw["addresses"] = []any{at.Host}
	if raw["db"], err = strconv.Atoi(strings.TrimPrefix(at.Path, "/")); err != nil {
		require.NoError(tb, err)
	}
	opts, err := redisbroker.DecodeOptions(raw)
	require.NoError(tb, err)
	b, err := redisbroker.New(tb.Context(), opts, testLogger(tb))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, b.Close()) })
	return b
}

// admin is a client beside the broker.
func admin(tb testing.TB, address string) *redis.Client {
	tb.Helper()
	opts, err := redis.ParseURL(address)
	require.NoError(tb, err)
	opts.Protocol, opts.PipelinePoolSize = 2, -1
	client := redis.NewClient(opts)
	tb.Cleanup(func() { require.NoError(tb, client.Close()) })
	return client
}

func add(t *testing.T, client *redis.Client, topic string, values map[string]any) string {
	t.Helper()
	id, err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: prefix + topic, Values: values}).Result()
	require.NoError(t, err)
	return id
}

func testLogger(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(tb.Output(), nil))
}
