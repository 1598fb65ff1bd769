package postgres_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func TestTaskRunsOnceAnIntervalWhoeverAsksAndHoweverOftenProcessesStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	deleteBatch(t, b.retention(t), keysRule(100)) // there is nothing yet, but it has run
	b.expire(t, 1)
	for range 3 {
		deleted, more := deleteBatch(t, b.retention(t), keysRule(100)) // each a process that has just started
		require.Zero(t, deleted)
		require.False(t, more)
	}
	require.Equal(t, int64(1), b.run(t, ports.RetentionKeys).Runs)

	b.admin(t, `update lectern.retention_runs set started_at = now() - interval '23 hours 59 minutes'`)
	deleted, _ := deleteBatch(t, b.retention(t), keysRule(100))
	require.Zero(t, deleted)
	b.admin(t, `update lectern.retention_runs set started_at = now() - interval '24 hours'`)
	deleted, _ = deleteBatch(t, b.retention(t), keysRule(100))
	require.Equal(t, int64(1), deleted)
	require.Equal(t, int64(2), b.run(t, ports.RetentionKeys).Runs)
}

func TestRunThatDiedInTheMiddleIsGoneOnWithByAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.expire(t, 5)
	deleted, more := deleteBatch(t, b.retention(t), keysRule(2)) // and then it dies
	require.Equal(t, int64(2), deleted)
	require.True(t, more)
	begun := b.run(t, ports.RetentionKeys)
	require.Equal(t, run{Started: begun.Started, Deleted: 2, Total: 2}, begun)
	b.admin(t, `update lectern.retention_runs set started_at = now() - interval '1 hour' where task = 'keys'`)

	other := b.retention(t)
	deleted, more = deleteBatch(t, other, keysRule(2))
	require.Equal(t, int64(2), deleted)
	require.True(t, more)
	deleted, more = deleteBatch(t, other, keysRule(2))
	require.Equal(t, int64(1), deleted)
	require.False(t, more)

	ended := b.run(t, ports.RetentionKeys)
	require.NotNil(t, ended.Finished)
	require.Equal(t, run{Started: ended.Started, Finished: ended.Finished, Deleted: 5, Total: 5, Runs: 1}, ended)
	require.WithinDuration(t, begun.Started.Add(-time.Hour), *ended.Started, time.Minute, "it is still the same run")

	// The next run counts for itself.
	b.admin(t, `update lectern.retention_runs set started_at = now() - interval '2 days' where task = 'keys'`)
	b.expire(t, 2)
	deleteBatch(t, other, keysRule(5))
	next := b.run(t, ports.RetentionKeys)
	require.Equal(t, run{Started: next.Started, Finished: next.Finished, Deleted: 2, Total: 7, Runs: 2}, next)
}

func TestBatchThatIsExactlyFullIsFollowedByAnEmptyOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.expire(t, 2)
	r := b.retention(t)
	_, more := deleteBatch(t, r, keysRule(2))
	require.True(t, more)
	deleted, more := deleteBatch(t, r, keysRule(2))
	require.Zero(t, deleted)
	require.False(t, more)
	require.Equal(t, int64(1), b.run(t, ports.RetentionKeys).Runs)
}

func TestReplicasShareOneRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.expire(t, 205)
	var total atomic.Int64
	var replicas sync.WaitGroup
	for range 4 {
		r := b.retention(t)
		replicas.Go(func() {
			for more := true; more; {
				deleted, again, err := r.DeleteBatch(t.Context(), keysRule(10))
				if err != nil {
					t.Error(err)
					return
				}
				total.Add(deleted)
				more = again
			}
		})
	}
	replicas.Wait()
	require.Equal(t, int64(205), total.Load(), "each row once, and none left")
	record := b.run(t, ports.RetentionKeys)
	require.Equal(t, run{Started: record.Started, Finished: record.Finished, Deleted: 205, Total: 205, Runs: 1}, record)
}

func TestTaskThatAnotherProcessIsAtIsLeftToIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.expire(t, 1)
	other, err := connect(t, b.db.Superuser).Begin(t.Context())
	require.NoError(t, err)
	var deleted int64
	require.NoError(t, other.QueryRow(t.Context(), `select lectern.run_retention('keys', '1 day', '0', 100)`).Scan(&deleted))
	require.Equal(t, int64(1), deleted)

	r := b.retention(t)
	n, more := deleteBatch(t, r, keysRule(100)) // returns, rather than waits
	require.Zero(t, n)
	require.False(t, more)
	deleteBatch(t, r, inboxRule())
	require.Equal(t, int64(1), b.run(t, ports.RetentionInbox).Runs, "another task is free")

	require.NoError(t, other.Rollback(t.Context())) // it died: nothing was deleted nor recorded
	n, _ = deleteBatch(t, r, keysRule(100))
	require.Equal(t, int64(1), n)
}

func TestRowThatSomebodyHoldsIsLeftAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.expire(t, 3)
	holder, err := connect(t, b.db.Superuser).Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), `select from lectern.idempotency_keys where key = 'expired-1' for update`)
	require.NoError(t, err)
	deleted, more := deleteBatch(t, b.retention(t), keysRule(100))
	require.Equal(t, int64(2), deleted)
	require.False(t, more)
	require.NoError(t, holder.Rollback(t.Context()))
}

func TestNothingIsHeldBetweenBatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.expire(t, 3)
	_, more := deleteBatch(t, b.retention(t), keysRule(1))
	require.True(t, more)
	var held int
	require.NoError(t, connect(t, b.db.Superuser).QueryRow(t.Context(), `
		select count(*) from pg_locks l join pg_database d on d.oid = l.database
		where d.datname = current_database() and pid <> pg_backend_pid() and pid in (
		  select pid from pg_stat_activity where usename = 'lectern_relay')`).Scan(&held))
	require.Zero(t, held)
}
