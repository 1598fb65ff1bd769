package stack_test

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestRedisServerKeepsItsAddressThroughAnOutage(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	address := server.Address()
	client := redisClient(t, address)
	require.NoError(t, client.Set(t.Context(), "key", "value", 0).Err())

	server.Stop()
	require.ErrorContains(t, dial(t, address), "refused")
	require.Error(t, client.Ping(t.Context()).Err())

	server.Start()
	require.Equal(t, address, server.Address())
	require.ErrorIs(t, client.Get(t.Context(), "key").Err(), redis.Nil)
}

func TestDurableRedisServerKeepsItsDataThroughAnOutage(t *testing.T) {
	t.Parallel()
	server := stack.StartDurableRedis(t)
	client := redisClient(t, server.Address())
	require.NoError(t, client.Set(t.Context(), "key", "value", 0).Err())
	server.Stop()
	server.Start()
	require.Equal(t, "value", client.Get(t.Context(), "key").Val())
}

func TestPausedRedisServerAcceptsAndDoesNotAnswer(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	client := redisClient(t, server.Address())
	require.NoError(t, client.Ping(t.Context()).Err())

	server.Pause()
	require.NoError(t, dial(t, server.Address()))
	hurry, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, client.Ping(hurry).Err(), context.DeadlineExceeded)

	server.Resume()
	require.NoError(t, client.Ping(t.Context()).Err())
	server.Pause() // and a hanging server can be stopped
}

func TestRedisServerGoesWithItsTest(t *testing.T) {
	t.Parallel()
	var address string
	t.Run("a test", func(t *testing.T) { address = stack.StartRedis(t).Address() })
	require.Error(t, dial(t, address))
}

func TestTestsDoNotShareRedisServers(t *testing.T) {
	t.Parallel()
	first, second := stack.StartRedis(t), stack.StartRedis(t)
	require.NotEqual(t, first.Address(), second.Address())
	first.Stop()
	require.NoError(t, redisClient(t, second.Address()).Ping(t.Context()).Err())
}

func TestRedisKeepsNothingOnDisk(t *testing.T) {
	t.Parallel()
	client := redisClient(t, stack.StartRedis(t).Address())
	for setting, want := range map[string]string{"save": "", "appendonly": "no", "bind": "127.0.0.1", "databases": "1024"} {
		require.Equal(t, want, client.ConfigGet(t.Context(), setting).Val()[setting], setting)
	}
}

func TestTakenPortIsNotMistakenForOurRedis(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	require.ErrorIs(t, stack.LaunchRedisAt(t.Context(), server.Address()), stack.ErrPortTaken)
	require.NoError(t, redisClient(t, server.Address()).Ping(t.Context()).Err())
}

// dial connects and sends nothing.
func dial(t *testing.T, address string) error {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	conn, err := (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", parsed.Host)
	if err != nil {
		return err
	}
	return conn.Close()
}
