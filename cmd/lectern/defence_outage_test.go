package main

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/ports"
)

// The commands of the layers find no server, all else does: the guarded
// transition of the work decides.
func TestCheckThatFindsNoDatabaseLeavesTheJobToItsOwnGuard(t *testing.T) {
	t.Parallel()
	nowhere, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/nothing")
	require.NoError(t, err)
	t.Cleanup(nowhere.Close)
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup, runWorkers),
		fx.Decorate(func(signals app.Signals, stats *app.DefenceStats, log *slog.Logger) *app.Defence {
			return app.NewDefence(postgres.NewCommands(nowhere), signals, stats, log)
		}))
	c, data := s.course(t, domain.QueueStructureAnalysis, "")
	s.publish(t, domain.QueueStructureAnalysis, stray(t, data, 0))
	s.settled(t, ports.GroupBackup, ports.GroupWorkers)
	require.Equal(t, domain.StatePending, s.state(t, c))
	require.Equal(t, map[string]int{"skipped": 1}, s.inbox(t))
	require.Equal(t, map[app.DefenceCount]int64{
		{Layer: app.Layer2, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceFailed}: 1,
		{Layer: app.Layer3, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceFailed}: 1,
	}, s.counted())
}

func TestDatabaseOutageDuringTheChecksLosesNoJob(t *testing.T) {
	t.Parallel()
	s := newSite(t, inMemory(), fx.Invoke(prepareBroker, runBackup, runWorkers))
	c, data := s.course(t, domain.QueueStructureGeneration, "")
	server, err := pgx.Connect(t.Context(), os.Getenv(stack.PostgresVariable)) // a database can't be closed from within
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close(context.WithoutCancel(t.Context()))) }()
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := server.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	exec(`alter database ` + s.at.Name + ` with allow_connections false`)
	exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = $2`, s.at.Name, stack.WorkerRole)

	s.publish(t, domain.QueueStructureGeneration, stray(t, data, 0))
	require.Eventually(t, func() bool {
		return s.counted()[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueStructureGeneration, Outcome: app.DefenceFailed}] == 1
	}, patience, 10*time.Millisecond)
	exec(`alter database ` + s.at.Name + ` with allow_connections true`)

	s.completes(t, c)
	require.Equal(t, []domain.Actor{domain.ActorWorker}, s.initialized(t, c))
}
