package natsbroker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/adapters/natsbroker"
)

func TestOptionsAreDecodedStrictly(t *testing.T) {
	t.Parallel()
	with := func(more ...any) map[string]any {
		raw := map[string]any{"addresses": []any{"127.0.0.1:1"}}
		for i := 0; i < len(more); i += 2 {
			raw[fmt.Sprint(more[i])] = more[i+1]
		}
		return raw
	}
	for name, tc := range map[string]struct {
		raw  map[string]any
		says []string
	}{
		"no address":     {raw: nil, says: []string{"addresses must name a server"}},
		"a scheme":       {raw: with("addresses", []any{"nats://user:secret@host:4222"}), says: []string{"addresses must be host:port"}},
		"no port":        {raw: with("addresses", []any{"host"}), says: []string{"addresses must be host:port"}},
		"unknown keys":   {raw: with("tokn", "secret", "tls", map[string]any{"cafile": "x"}), says: []string{"unknown: tokn; allowed: addresses, login, token, ", "unknown: tls.cafile"}},
		"a wrong type":   {raw: with("concurrency", "many"), says: []string{"concurrency"}},
		"no unit":        {raw: with("lease", 5), says: []string{"lease: must be a time with its unit"}},
		"two logins":     {raw: with("token", "secret", "credentials_file", "x"), says: []string{"only one of login, token and credentials_file"}},
		"two tokens":     {raw: with("token", "secret", "token_file", "x"), says: []string{"token and token_file must not be given both"}},
		"a wildcard":     {raw: with("topic_prefix", "lectern.>."), says: []string{"topic_prefix must"}},
		"an empty token": {raw: with("topic_prefix", "lectern.."), says: []string{"topic_prefix must"}},
		"a dotted group": {raw: with("groups", map[string]any{"workers": "a.b"}), says: []string{"groups.workers must"}},
		"several problems": {
			raw: with("replicas", 0, "max_length", -1, "max_bytes", -1, "max_age", "1ms", "concurrency", 0, "max_message_bytes", 1<<30, "lease", "1ms",
				"retry_delay", "0s", "retry_delay_max", "-1s", "max_deliveries", -1, "timeout", "1ms", "close_timeout", "0s"),
			says: []string{
				"replicas must", "max_length must", "max_bytes must", "max_age must", "concurrency must", "max_message_bytes must", "lease must",
				"retry_delay must", "retry_delay_max must", "max_deliveries must", "\ntimeout must", "close_timeout must",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := natsbroker.DecodeOptions(tc.raw)
			for _, part := range tc.says {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "secret")
		})
	}
	opts, err := natsbroker.DecodeOptions(with("concurrency", "7", "lease", "2s", "groups", map[string]any{"workers": "acme"}))
	require.NoError(t, err)
	require.Equal(t, 7, opts.Concurrency)
	require.Equal(t, 2*time.Second, opts.Lease)
	require.Equal(t, map[string]string{"workers": "acme"}, opts.Groups)
	require.Equal(t, "lectern.", opts.TopicPrefix, "by default")
	require.True(t, opts.CreateTopics, "by default")
}

func TestDelaysDoubleUpToTheLongest(t *testing.T) {
	t.Parallel()
	opts := natsbroker.Options{RetryDelay: time.Second, RetryDelayMax: 5 * time.Second}
	for deliveries, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 1 << 30: 5 * time.Second,
	} {
		require.Equal(t, want, opts.RetryDelayAfter(deliveries), deliveries)
	}
}

func TestNoNumberOfDeliveriesIsEnoughToGiveUpWhenItIsZero(t *testing.T) {
	t.Parallel()
	require.False(t, natsbroker.Options{MaxDeliveries: 0}.GivesUpAfter(1<<30))
	require.False(t, natsbroker.Options{MaxDeliveries: 3}.GivesUpAfter(2))
	require.True(t, natsbroker.Options{MaxDeliveries: 3}.GivesUpAfter(3))
}

func TestModuleRefusesBadOptions(t *testing.T) {
	t.Parallel()
	_, err := natsbroker.Module(map[string]any{"addresses": []any{"127.0.0.1:1"}, "colour": 1})
	require.ErrorContains(t, err, "colour")
}
