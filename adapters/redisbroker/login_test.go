package redisbroker_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
	"lectern/ports"
)

// Nobody has to be started again.
func TestAPasswordThatChangedIsReadForTheNextConnection(t *testing.T) {
	t.Parallel()
	address := stack.StartRedis(t).Address()
	outside := admin(t, address)
	require.NoError(t, outside.ConfigSet(t.Context(), "requirepass", "first").Err())
	file := write(t, "first\n")
	b := open(t, address, map[string]any{"login": map[string]any{"password_file": file}})
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	_, msgs := subscribe(t, b)

	require.NoError(t, outside.ConfigSet(t.Context(), "requirepass", "second").Err())
	require.NoError(t, outside.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err())
	requireFailed(t, ports.Unavailable, b.Publish("topic", jobs(1)...), 1)
	require.ErrorContains(t, b.Ping(t.Context()), "WRONGPASS")
	require.NoError(t, os.Remove(file))
	require.ErrorContains(t, b.Ping(t.Context()), "login.password_file")
	require.NoError(t, os.WriteFile(file, []byte("second\n"), 0o600))
	require.NoError(t, b.Publish("topic", jobs(1)...))
	require.True(t, receive(t, msgs).Ack())
}
