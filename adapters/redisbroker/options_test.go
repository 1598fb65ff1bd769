package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/adapters/redisbroker"
	"lectern/ports"
)

func TestOptionsAreDecodedStrictly(t *testing.T) {
	t.Parallel()
	one := []any{"127.0.0.1:1"}
	for name, tc := range map[string]struct {
		raw  map[string]any
		says []string
	}{
		"no address":       {raw: nil, says: []string{"addresses must name one server"}},
		"two addresses":    {raw: map[string]any{"addresses": []any{"a:1", "b:1"}}, says: []string{"addresses must name one server"}},
		"a URL":            {raw: map[string]any{"addresses": []any{"redis://user:secret@host:6379"}}, says: []string{"addresses must be host:port"}},
		"no port":          {raw: map[string]any{"addresses": []any{"host"}}, says: []string{"addresses must be host:port"}},
		"a wrong type":     {raw: map[string]any{"addresses": one, "concurrency": "many"}, says: []string{"concurrency"}},
		"no unit":          {raw: map[string]any{"addresses": one, "lease": 5}, says: []string{"lease: must be a time with its unit"}},
		"tls half on":      {raw: map[string]any{"addresses": one, "tls": map[string]any{"ca_file": "x"}}, says: []string{"tls.enabled must be true"}},
		"password twice":   {raw: map[string]any{"addresses": one, "login": map[string]any{"password": "secret", "password_file": "x"}}, says: []string{"login.password"}},
		"a nameless group": {raw: map[string]any{"addresses": one, "groups": map[string]any{"workers": ""}}, says: []string{"groups.workers must be a name"}},
		"unknown keys": {
			raw: map[string]any{"addresses": one, "colour": "x", "login": map[string]any{"pass": "secret"}},
			says: []string{"unknown: colour", "unknown: login.pass", "allowed: addresses, db, login, tls, topic_prefix, groups, create_topics, " +
				"max_length, concurrency, max_message_bytes, lease, retry_delay, retry_delay_max, max_deliveries, timeout, close_timeout"},
		},
		"several problems": {
			raw: map[string]any{
				"db": -1, "max_length": -1, "concurrency": 0, "max_message_bytes": 1 << 30, "lease": "1ms", "retry_delay": "0s",
				"retry_delay_max": "-1s", "max_deliveries": -1, "timeout": "1ms", "close_timeout": "0s",
			},
			says: []string{
				"addresses must", "db must", "max_length must", "concurrency must", "max_message_bytes must", "lease must", "retry_delay must",
				"retry_delay_max must", "max_deliveries must", "timeout must", "close_timeout must",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := redisbroker.DecodeOptions(tc.raw)
			for _, part := range tc.says {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "secret")
		})
	}
	opts, err := redisbroker.DecodeOptions(map[string]any{"addresses": one, "concurrency": "7", "lease": "2s"})
	require.NoError(t, err)
	require.Equal(t, 7, opts.Concurrency)
	require.Equal(t, 2*time.Second, opts.Lease)
	require.Equal(t, "lectern:", opts.TopicPrefix, "by default")
}

func TestDelaysDoubleUpToTheLongest(t *testing.T) {
	t.Parallel()
	opts := redisbroker.Options{RetryDelay: time.Second, RetryDelayMax: 5 * time.Second}
	for deliveries, want := range map[int64]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 1 << 40: 5 * time.Second,
	} {
		require.Equal(t, want+time.Millisecond, opts.DelayAfter(deliveries), deliveries)
	}
}

// A message is given up only for what the server says of it or of its topic.
func TestFailuresAreClassified(t *testing.T) {
	t.Parallel()
	for says, want := range map[string]ports.PublishFailure{
		"OOM command not allowed when used memory > 'maxmemory'.":                     ports.Unavailable,
		"READONLY You can't write against a read only replica.":                       ports.Unavailable,
		"LOADING Redis is loading the dataset in memory":                              ports.Unavailable,
		"MISCONF Redis is configured to save RDB snapshots":                           ports.Unavailable,
		"NOPERM this user has no permissions":                                         ports.Unavailable,
		"NOAUTH Authentication required.":                                             ports.Unavailable,
		"WRONGPASS invalid username-password pair":                                    ports.Unavailable,
		"ERR max number of clients reached":                                           ports.Unavailable,
		"ERR unknown command `XADD`":                                                  ports.Unavailable,
		"ERR The stream has exhausted the last possible ID, unable to add more items": ports.Retryable,
		"ERR Protocol error: invalid bulk length":                                     ports.Retryable,
		"WRONGTYPE Operation against a key holding the wrong kind of value":           ports.Refused,
	} {
		require.Equal(t, want.String(), redisbroker.Classify(fmt.Errorf("publish: %w", answer(says))).String(), says)
	}
	for _, err := range []error{io.EOF, context.DeadlineExceeded, redis.ErrClosed, redis.ErrPoolTimeout, errors.New("dial tcp: refused")} {
		require.Equal(t, ports.Unavailable.String(), redisbroker.Classify(err).String(), err)
	}
}

// answer is an error as the server sends it.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestModuleRefusesBadOptions(t *testing.T) {
	t.Parallel()
	_, err := redisbroker.Module(map[string]any{"addresses": []any{"127.0.0.1:1"}, "colour": 1})
	require.ErrorContains(t, err, "colour")
}

// A server may come later: only what needs it fails, and soon.
func TestANewBrokerNeedsNoServerYet(t *testing.T) {
	t.Parallel()
	b := open(t, "redis://127.0.0.1:1/0", map[string]any{"timeout": "1s"})
	require.Error(t, b.Ping(t.Context()))
	require.Error(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	requireFailed(t, ports.Unavailable, b.Publish("topic", jobs(1)...), 1)
	sub, err := b.Subscriber("group")
	require.NoError(t, err)
	_, err = sub.Subscribe(t.Context(), "topic")
	require.Error(t, err)
}

func TestAFileThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	for key, section := range map[string]map[string]any{
		"login.password_file": {"login": map[string]any{"password_file": "/nowhere"}},
		"tls.ca_file":         {"tls": map[string]any{"enabled": true, "ca_file": "/nowhere"}},
	} {
		section["addresses"] = []any{"127.0.0.1:1"}
		opts, err := redisbroker.DecodeOptions(section)
		require.NoError(t, err)
		_, err = redisbroker.New(t.Context(), opts, testLogger(t))
		require.ErrorContains(t, err, key)
	}
}

func requireFailed(t *testing.T, want ports.PublishFailure, err error, n int) {
	t.Helper()
	var failed *ports.PublishError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Failed, n)
	for _, m := range failed.Failed {
		require.Equal(t, want.String(), m.Failure.String(), m.Err)
	}
}
