package kafkabroker_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/adapters/kafkabroker"
	"lectern/ports"
)

func TestOptionsAreDecodedStrictly(t *testing.T) {
	t.Parallel()
	addresses := []any{"kafka:9092"}
	for name, tc := range map[string]struct {
		raw  map[string]any
		says []string
	}{
		"no address": {raw: nil, says: []string{"addresses must name a broker"}},
		"not host:port": {
			raw:  map[string]any{"addresses": []any{"kafka:9092", "kafka"}},
			says: []string{"addresses must be host:port each"},
		},
		"a scheme": {
			raw:  map[string]any{"addresses": []any{"kafka://alice:secret@kafka:9092"}},
			says: []string{"addresses must be host:port each"},
		},
		"a login in an address": {
			raw:  map[string]any{"addresses": []any{"alice@kafka:9092"}},
			says: []string{"addresses must be host:port each"},
		},
		"unknown keys": {
			raw: map[string]any{"addresses": addresses, "topic": "x", "tls": map[string]any{"enable": true}},
			says: []string{"unknown: topic; allowed: addresses, tls, sasl_mechanism, login, topic_prefix, groups, create_topics, " +
				"partitions, replication, retention, max_message_bytes, concurrency, lease, rebalance_timeout, retry_delay, " +
				"retry_delay_max, max_deliveries, timeout, close_timeout", "tls.enable"},
		},
		"a wrong type": {raw: map[string]any{"addresses": addresses, "concurrency": "many"}, says: []string{"concurrency"}},
		"no unit":      {raw: map[string]any{"addresses": addresses, "lease": 5}, says: []string{"lease: must be a time with its unit"}},
		"no names": {
			raw:  map[string]any{"addresses": addresses, "topic_prefix": "a/", "groups": map[string]any{"workers": "a b"}},
			says: []string{"topic_prefix must", "groups.workers must"},
		},
		"a login without a mechanism": {
			raw:  map[string]any{"addresses": addresses, "login": map[string]any{"user": "alice", "password": "secret"}},
			says: []string{"sasl_mechanism and login must be given together"},
		},
		"a mechanism without a login": {
			raw:  map[string]any{"addresses": addresses, "sasl_mechanism": "plain"},
			says: []string{"sasl_mechanism and login must be given together"},
		},
		"several problems": {
			raw: map[string]any{
				"addresses": addresses, "sasl_mechanism": "gssapi", "partitions": 0, "replication": 0, "retention": "1ms", "concurrency": 0,
				"max_message_bytes": 1 << 30, "max_deliveries": -1, "lease": "1ms", "rebalance_timeout": "0s", "retry_delay_max": "1ms",
			},
			says: []string{
				"sasl_mechanism must be one of plain, scram-sha-256, scram-sha-512", "partitions must", "replication must", "retention must",
				"concurrency must", "max_message_bytes must", "max_deliveries must", "lease must", "rebalance_timeout must", "retry_delay_max must",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := kafkabroker.DecodeOptions(tc.raw)
			for _, part := range tc.says {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestOptionsHaveDefaults(t *testing.T) {
	t.Parallel()
	opts, err := kafkabroker.DecodeOptions(map[string]any{
		"addresses": "one:1,two:2", "concurrency": "7", "groups": map[string]any{"workers": "acme"},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"one:1", "two:2"}, opts.Addresses, "as the environment gives them")
	require.Equal(t, 7, opts.Concurrency)
	require.True(t, opts.CreateTopics)
	require.EqualValues(t, -1, opts.Replication)
	require.Zero(t, opts.Retention, "nothing is deleted that was not consumed")
	require.Equal(t, "acme.lectern.topic", opts.GroupName("workers", "topic"))
	require.Equal(t, "backup.lectern.topic", opts.GroupName("backup", "topic"))
}

func TestDelaysDoubleUpToTheLongest(t *testing.T) {
	t.Parallel()
	opts := kafkabroker.Options{RetryDelay: time.Second, RetryDelayMax: 5 * time.Second}
	for nacks, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 1 << 30: 5 * time.Second,
	} {
		require.Equal(t, want, opts.RetryDelayAfter(nacks), nacks)
	}
}

// A message is given up only for what the broker says of it or of its topic.
func TestFailuresAreClassified(t *testing.T) {
	t.Parallel()
	for want, errs := range map[ports.PublishFailure][]error{
		ports.Refused: {
			kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidTopicException, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID,
		},
		ports.Unavailable: {
			context.DeadlineExceeded, io.EOF, kgo.ErrRecordTimeout, kgo.ErrClientClosed, kerr.RequestTimedOut, kerr.NotEnoughReplicas,
			kerr.NotEnoughReplicasAfterAppend, kerr.NotLeaderForPartition, kerr.KafkaStorageError,
			kerr.TopicAuthorizationFailed, kerr.SaslAuthenticationFailed,
		},
		ports.Retryable: {kerr.InvalidRecord, kerr.PolicyViolation, kerr.UnknownServerError},
	} {
		for _, err := range errs {
			require.Equal(t, want.String(), kafkabroker.Classify(fmt.Errorf("publish: %w", err)).String(), err)
		}
	}
}

func TestModuleRefusesBadOptions(t *testing.T) {
	t.Parallel()
	_, err := kafkabroker.Module(map[string]any{"addresses": []any{"kafka:9092"}, "colour": 1})
	require.ErrorContains(t, err, "colour")
}

func TestFilesThatAreMissingAreNamed(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for key, raw := range map[string]map[string]any{
		"tls.ca_file":         {"tls": map[string]any{"enabled": true, "ca_file": missing}},
		"login.password_file": {"sasl_mechanism": "plain", "login": map[string]any{"user": "alice", "password_file": missing}},
	} {
		raw["addresses"] = []any{"kafka:9092"}
		opts, err := kafkabroker.DecodeOptions(raw)
		require.NoError(t, err)
		_, err = kafkabroker.New(t.Context(), opts, testLogger(t))
		require.ErrorContains(t, err, key)
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}

// A server may come later: only what needs it fails, and soon.
func TestANewBrokerNeedsNoServerYet(t *testing.T) {
	t.Parallel()
	opts, err := kafkabroker.DecodeOptions(map[string]any{"addresses": []any{"127.0.0.1:1"}, "timeout": "1s"})
	require.NoError(t, err)
	b := closing(t)(kafkabroker.New(t.Context(), opts, testLogger(t)))
	require.Error(t, b.Ping(t.Context()))
	require.Error(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	var failed *ports.PublishError
	require.ErrorAs(t, b.Publish("topic", jobs(1)...), &failed)
	for _, m := range failed.Failed {
		require.Equal(t, ports.Unavailable, m.Failure)
	}
	sub, err := b.Subscriber("group")
	require.NoError(t, err)
	_, err = sub.Subscribe(t.Context(), "topic")
	require.Error(t, err)
}
