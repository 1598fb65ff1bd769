package stack_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestTestsDoNotShareRedisDatabases(t *testing.T) {
	t.Parallel()
	mine, other := redisClient(t, stack.Redis(t)), redisClient(t, stack.Redis(t))
	require.NoError(t, mine.Set(t.Context(), "key", "mine", 0).Err())
	require.NoError(t, other.Set(t.Context(), "key", "other", 0).Err())
	require.Equal(t, "mine", mine.Get(t.Context(), "key").Val())
	require.NoError(t, other.FlushDB(t.Context()).Err())
	require.EqualValues(t, 1, mine.DBSize(t.Context()).Val())
}

func TestRedisDatabaseIsEmptiedAndGivenBackWithItsTest(t *testing.T) {
	server := stack.StartRedis(t)
	t.Setenv(stack.RedisVariable, server.Address())
	var address string
	t.Run("a test", func(t *testing.T) {
		address = stack.Redis(t)
		require.NoError(t, redisClient(t, address).Set(t.Context(), "left", "behind", 0).Err())
		require.NotEmpty(t, redisClient(t, server.Address()).Keys(t.Context(), "lectern:test:taken:*").Val())
	})
	require.Zero(t, redisClient(t, address).DBSize(t.Context()).Val())
	require.Empty(t, redisClient(t, server.Address()).Keys(t.Context(), "lectern:test:taken:*").Val())
}

func TestRedisDatabaseOfATestThatWasKilledIsEmpty(t *testing.T) {
	server := stack.StartRedis(t)
	t.Setenv(stack.RedisVariable, server.Address())
	for number := range 16 {
		require.NoError(t, redisClient(t, atDatabase(t, server.Address(), number)).Set(t.Context(), "left", "behind", 0).Err())
	}
	require.Zero(t, redisClient(t, stack.Redis(t)).DBSize(t.Context()).Val())
}

func TestMoreTestsThanRedisHasDatabasesAreTold(t *testing.T) {
	server := stack.StartRedis(t)
	t.Setenv(stack.RedisVariable, server.Address())
	shared := redisClient(t, server.Address())
	taken := make([]any, 0, 2*1023)
	for number := 1; number < 1024; number++ {
		taken = append(taken, "lectern:test:taken:"+strconv.Itoa(number), "another test")
	}
	require.NoError(t, shared.MSet(t.Context(), taken...).Err())
	require.Contains(t, fatal(t, func(tb testing.TB) { stack.Redis(tb) }), "start it with --databases 1024")

	require.NoError(t, shared.Del(t.Context(), "lectern:test:taken:700").Err())
	require.Equal(t, atDatabase(t, server.Address(), 700), stack.Redis(t))
}

func TestRedisWithoutItsVariableSaysWhatTheMainNeeds(t *testing.T) {
	t.Setenv(stack.RedisVariable, "")
	require.Contains(t, fatal(t, func(tb testing.TB) { stack.Redis(tb) }), "stack.WithRedis")
}

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

func TestRunStartsRedisAndStopsIt(t *testing.T) {
	t.Setenv(stack.RedisVariable, "")
	said := filepath.Join(stack.Dir(t), "said")
	script := []string{"sh", "-c", `printf %s "$LECTERN_TEST_REDIS" > "$0"`, said}

	_, err := stack.Run(t.Context(), script)
	require.NoError(t, err)
	address, err := os.ReadFile(said)
	require.NoError(t, err)
	require.Empty(t, address, "Redis was not asked for")

	_, err = stack.Run(t.Context(), script, stack.WithRedis)
	require.NoError(t, err)
	address, err = os.ReadFile(said)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(address), "redis://127.0.0.1:"), "the command was given %q", address)
	require.ErrorContains(t, dial(t, string(address)), "refused")
}

func TestRedisThatCannotBeHadFailsTheRunAndSaysWhatToDo(t *testing.T) {
	empty := stack.Dir(t)
	t.Setenv(stack.RedisVariable, "")
	t.Setenv("PATH", empty)
	t.Setenv("XDG_CACHE_HOME", empty)
	t.Setenv("HOME", empty)
	_, err := stack.Run(t.Context(), []string{os.Args[0]}, stack.WithRedis)
	for _, remedy := range []string{"install redis-server", "JDK 17", "Maven", stack.RedisVariable} {
		require.ErrorContains(t, err, remedy)
	}
	require.Contains(t, fatal(t, func(tb testing.TB) { stack.StartRedis(tb) }), "install redis-server")
}

func TestFetchedRedisIsWholeThoughTwoFetchAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var programs [2]string
	var errs [2]error
	var both sync.WaitGroup
	for i := range programs {
		both.Go(func() { programs[i], errs[i] = stack.CachedRedis(t.Context(), dir) })
	}
	both.Wait()
	require.Equal(t, [2]error{}, errs)
	require.Equal(t, programs[0], programs[1])
	said, err := exec.CommandContext(t.Context(), programs[0], "--version").Output()
	require.NoError(t, err)
	require.Contains(t, string(said), "Redis server v=6.2.")
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{programs[0], programs[0] + ".lock"}, left)
}

func redisClient(t *testing.T, address string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(address)
	require.NoError(t, err)
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func atDatabase(t *testing.T, address string, number int) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	parsed.Path = "/" + strconv.Itoa(number)
	return parsed.String()
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
