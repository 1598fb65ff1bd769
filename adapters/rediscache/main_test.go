package rediscache_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/adapters/rediscache"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/ports"
	"lectern/ports/portstest"
)

func TestMain(m *testing.M) { stack.Main(m, stack.WithRedis) }

const (
	patience = 30 * time.Second // bounds every wait for something that must happen
	timeout  = 200 * time.Millisecond
	key      = domain.IdempotencyKey("key-number-1")
)

func TestConformance(t *testing.T) {
	portstest.TestCache(t, portstest.CacheHarness{New: func(t *testing.T) ports.Cache {
		t.Helper()
		c, log := open(t, rediscache.Options{URL: stack.Redis(t), Prefix: "lectern", Timeout: patience, PoolSize: 4})
		t.Cleanup(func() { require.Empty(t, log.lines(t)) })
		return c
	}})
}

// options are those of a cache that is as it would be in a deployment.
func options(url string) rediscache.Options {
	return rediscache.Options{URL: url, Prefix: "lectern", Timeout: timeout, PoolSize: 10}
}

func open(t *testing.T, opts rediscache.Options) (*rediscache.Cache, *logbook) {
	t.Helper()
	log := &logbook{}
	c, err := rediscache.New(opts, time.Now, slog.New(slog.NewJSONHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c, log
}

// admin is a client beside the cache.
func admin(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func answer(t *testing.T) domain.CachedAnswer {
	t.Helper()
	a, err := domain.NewCachedAnswer(domain.Fingerprint(strings.Repeat("0a", 32)), json.RawMessage(`{"fsmState": {}}`))
	require.NoError(t, err)
	return a
}

func set(t *testing.T, c *rediscache.Cache) {
	t.Helper()
	c.Set(t.Context(), uuid.Nil, key, answer(t), time.Hour)
}

func hits(t *testing.T, c *rediscache.Cache) bool {
	t.Helper()
	_, hit := c.Get(t.Context(), uuid.Nil, key)
	return hit
}

// eventually waits until a cache takes and has an answer again, and returns how
// many calls that took.
func eventually(t *testing.T, c *rediscache.Cache) int {
	t.Helper()
	calls := 0
	require.Eventually(t, func() bool { calls += 2; set(t, c); return hits(t, c) }, patience, 10*time.Millisecond)
	return calls
}

// logbook keeps what is logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

type line struct {
	Level, Msg, Error, Key, Cache string
	Lasted                        time.Duration
	Missed                        int
}

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) lines(t *testing.T) []line {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []line
	for text := range strings.Lines(l.text.String()) {
		var parsed line
		require.NoError(t, json.Unmarshal([]byte(text), &parsed), text)
		lines = append(lines, parsed)
	}
	return lines
}

// one returns the only line there is.
func (l *logbook) one(t *testing.T, level, msg string) line {
	t.Helper()
	lines := l.lines(t)
	require.Len(t, lines, 1)
	require.Equal(t, level, lines[0].Level)
	require.Contains(t, lines[0].Msg, msg)
	return lines[0]
}

// forget begins a new book.
func (l *logbook) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
