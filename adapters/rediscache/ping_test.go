package rediscache_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/adapters/rediscache"
	"lectern/e2e/stack"
)

func TestPingTellsWhetherTheServerAnswers(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	opts, err := rediscache.DecodeOptions(map[string]any{"url": server.Address(), "timeout": "1s"})
	require.NoError(t, err)
	c, err := rediscache.New(opts, time.Now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, c.Ping(t.Context()))
	server.Stop()
	require.ErrorContains(t, c.Ping(t.Context()), "reach cache: ")
	require.NoError(t, c.Close())
	require.EqualError(t, c.Ping(t.Context()), "reach cache: it is closed")
}
