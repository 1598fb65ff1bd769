package kafkabroker_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/adapters/kafkabroker"
	"lectern/e2e/stack"
)

func TestLoginsOverTLS(t *testing.T) {
	t.Parallel()
	kafka := stack.StartSecureKafka(t)
	secure := func(t *testing.T, mechanism string, login, tls map[string]any) *kafkabroker.Broker {
		t.Helper()
		opts, err := kafkabroker.DecodeOptions(map[string]any{
			"addresses": []any{kafka.SecureAddress()}, "sasl_mechanism": mechanism, "login": login, "tls": tls, "timeout": "3s",
		})
		require.NoError(t, err)
		return closing(t)(kafkabroker.New(t.Context(), opts, testLogger(t)))
	}
	trusted := map[string]any{"enabled": true, "ca_file": kafka.CAFile}
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(kafka.Password+"\n"), 0o600))

	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		t.Run(mechanism, func(t *testing.T) {
			b := secure(t, mechanism, map[string]any{"user": kafka.User, "password_file": file}, trusted)
			require.NoError(t, b.Ping(t.Context()))
			require.NoError(t, b.Prepare(t.Context(), []string{mechanism}, []string{"group"}))
			require.NoError(t, b.Publish(mechanism, jobs(2)...))
			sub, err := b.Subscriber("group")
			require.NoError(t, err)
			msgs, err := sub.Subscribe(t.Context(), mechanism)
			require.NoError(t, err)
			require.True(t, receive(t, msgs).Ack())
		})
		t.Run(mechanism+" with a wrong password", func(t *testing.T) {
			b := secure(t, mechanism, map[string]any{"user": kafka.User, "password": "wrong-one"}, trusted)
			for _, err := range []error{b.Ping(t.Context()), b.Prepare(t.Context(), []string{mechanism}, []string{"group"}), b.Publish(mechanism, jobs(1)...)} {
				require.ErrorContains(t, err, "SASL_AUTHENTICATION_FAILED")
				require.NotContains(t, err.Error(), "wrong-one")
			}
		})
	}
	t.Run("a stranger's certificate", func(t *testing.T) {
		b := secure(t, "plain", map[string]any{"user": kafka.User, "password": kafka.Password}, map[string]any{"enabled": true})
		require.ErrorContains(t, b.Ping(t.Context()), "certificate")
	})
}
