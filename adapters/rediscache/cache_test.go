package rediscache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/adapters/rediscache"
	"lectern/domain"
	"lectern/e2e/stack"
)

func TestWhatIsNoAnswerIsAMissAndIsOverwritten(t *testing.T) {
	t.Parallel()
	fp := strings.Repeat("0a", 32)
	for name, spoil := range map[string][]any{
		"nothing":             {"set", "KEY", ""},
		"garbage":             {"set", "KEY", "\x00\xff garbage"},
		"a result alone":      {"set", "KEY", `{"fsmState": {}}`},
		"a fingerprint alone": {"set", "KEY", fp},
		"a result cut short":  {"set", "KEY", fp + "\n" + `{"fsmState": {`},
		"another's value":     {"set", "KEY", "short\n{}"},
		"more than the limit": {"set", "KEY", fp + "\n" + `{"x":"` + strings.Repeat("x", domain.MaxAnswerBytes) + `"}`},
		"a list":              {"rpush", "KEY", "a"},
		"a hash":              {"hset", "KEY", "a", "b"},
		"a stream":            {"xadd", "KEY", "*", "a", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := stack.Redis(t)
			opts := options(url)
			opts.Timeout = patience
			c, log := open(t, opts)
			root := admin(t, url)
			set(t, c)
			stored := theKey(t, root)
			require.NoError(t, root.Del(t.Context(), stored).Err())
			for i := range spoil {
				if spoil[i] == "KEY" {
					spoil[i] = stored
				}
			}
			require.NoError(t, root.Do(t.Context(), spoil...).Err())

			require.False(t, hits(t, c))

			require.Equal(t, stored, log.one(t, "WARN", "no answer").Key)
			set(t, c)
			require.True(t, hits(t, c))
			log.one(t, "WARN", "no answer")
		})
	}
}

func TestRedisKeepsNoAnswerLongerThanAsked(t *testing.T) {
	t.Parallel()
	url := stack.Redis(t)
	opts := options(url)
	opts.Timeout = patience
	c, _ := open(t, opts)
	root := admin(t, url)
	for _, ttl := range []time.Duration{
		24 * time.Hour, 90500 * time.Millisecond, 90500*time.Millisecond + 999*time.Microsecond, time.Minute, 5 * time.Second,
	} {
		c.Set(t.Context(), uuid.Nil, key, answer(t), ttl)
		left, err := root.PTTL(t.Context(), theKey(t, root)).Result()
		require.NoError(t, err)
		require.LessOrEqual(t, left, ttl)
		require.Positive(t, left, "it is kept for ever")
		require.Greater(t, left, ttl-5*time.Second)
	}
}

func TestInstallationsShareAServerByTheirPrefixes(t *testing.T) {
	t.Parallel()
	url := stack.Redis(t)
	opts := options(url)
	opts.Timeout = patience
	first, _ := open(t, opts)
	opts.Prefix = "second"
	second, _ := open(t, opts)
	set(t, first)
	require.True(t, hits(t, first))
	require.False(t, hits(t, second))
	require.Equal(t, "lectern:answer:"+uuid.Nil.String()+":"+string(key), theKey(t, admin(t, url)))
}

func TestProcessesShareAnswers(t *testing.T) {
	t.Parallel()
	opts := options(stack.Redis(t))
	opts.Timeout = patience
	first, log := open(t, opts)
	second, _ := open(t, opts)
	set(t, first)
	require.True(t, hits(t, second))

	require.NoError(t, first.Close())
	require.False(t, hits(t, first))
	require.Empty(t, log.lines(t), "to be closed is no outage")
	require.True(t, hits(t, second))
}

func TestOptionsAreReadStrictly(t *testing.T) {
	t.Parallel()
	got, err := rediscache.DecodeOptions(map[string]any{"url": "redis://cache"})
	require.NoError(t, err)
	require.Equal(t, rediscache.Options{URL: "redis://cache", Prefix: "lectern", Timeout: 100 * time.Millisecond, PoolSize: 10}, got)

	got, err = rediscache.DecodeOptions(map[string]any{
		"url": "rediss://me:p%40ss@[::1]:6380/3", "prefix": "p", "timeout": "1s", "pool_size": "1000",
	})
	require.NoError(t, err)
	require.Equal(t, rediscache.Options{URL: "rediss://me:p%40ss@[::1]:6380/3", Prefix: "p", Timeout: time.Second, PoolSize: 1000}, got)

	good := func(changed ...any) map[string]any {
		raw := map[string]any{"url": "redis://cache"}
		for i := 0; i < len(changed); i += 2 {
			raw[changed[i].(string)] = changed[i+1]
		}
		return raw
	}
	for name, tc := range map[string]struct {
		raw  map[string]any
		says []string
	}{
		"unknown":         {good("addr", "x"), []string{"unknown: addr; allowed: url, prefix, timeout, pool_size"}},
		"no url":          {nil, []string{"url must be an address like redis://user:password@host:6379/0"}},
		"another scheme":  {good("url", "http://s3cret@cache"), []string{"url must be"}},
		"a socket":        {good("url", "unix://s3cret@/run/redis.sock"), []string{"url must be"}},
		"no number":       {good("url", "redis://:s3cret@cache/zero"), []string{"url must be"}},
		"not an address":  {good("url", "redis://:s3cret%zz@cache"), []string{"url must be"}},
		"a query":         {good("url", "redis://:s3cret@cache/0?max_retries=9"), []string{"url must be"}},
		"several at once": {good("prefix", "", "timeout", "2s", "pool_size", 0), []string{"prefix must", "timeout must be 1ms to 1s", "pool_size must be 1 to 1000"}},
		"other bounds":    {good("prefix", strings.Repeat("x", 101), "timeout", "999us", "pool_size", 1001), []string{"prefix must", "timeout must", "pool_size must"}},
		"without a unit":  {good("timeout", 100), []string{"timeout: must be a time with its unit"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := rediscache.DecodeOptions(tc.raw)
			for _, part := range tc.says {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "s3cret")
			_, moduleErr := rediscache.Module(tc.raw)
			require.Equal(t, err, moduleErr)
		})
	}
	_, err = rediscache.New(rediscache.Options{URL: "cache:6379"}, time.Now, nil)
	require.ErrorContains(t, err, "url must be")
}

// theKey returns the one key there is.
func theKey(t *testing.T, client *redis.Client) string {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	return keys[0]
}
