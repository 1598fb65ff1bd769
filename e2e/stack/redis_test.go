package stack_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

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
