package postgres_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
	"lectern/ports"
)

const day = 24 * time.Hour

func keysRule(batch int) ports.RetentionRule {
	return ports.RetentionRule{Task: ports.RetentionKeys, Every: day, Batch: batch}
}

func entriesRule() ports.RetentionRule {
	return ports.RetentionRule{Task: ports.RetentionEntries, Every: 7 * day, After: 30 * day, Batch: 100}
}

func inboxRule() ports.RetentionRule {
	return ports.RetentionRule{Task: ports.RetentionInbox, Every: 7 * day, After: 60 * day, Batch: 100}
}

// admin runs what only a superuser may.
func (b *bundle) admin(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := connect(t, b.db.Superuser).Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// retention is a clean-up in a process of its own.
func (b *bundle) retention(t *testing.T) *postgres.Retention {
	t.Helper()
	return postgres.NewRetention(open(t, b.db.Relay))
}

func deleteBatch(t *testing.T, r *postgres.Retention, rule ports.RetentionRule) (int64, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a batch waits for nobody
	defer cancel()
	deleted, more, err := r.DeleteBatch(ctx, rule)
	require.NoError(t, err)
	return deleted, more
}

// expire makes n keys that have expired, the oldest first.
func (b *bundle) expire(t *testing.T, n int) {
	t.Helper()
	b.admin(t, `insert into lectern.idempotency_keys (organization_id, key, fingerprint, created_at, expires_at)
		select gen_random_uuid(), 'expired-' || i, repeat('0', 64), now() - interval '9 days', now() - interval '8 days' + make_interval(secs => i)
		from generate_series(1, $1) i`, n)
}

// run is the record of a task.
type run struct {
	Started, Finished    *time.Time
	Deleted, Total, Runs int64
}

func (b *bundle) run(t *testing.T, task ports.RetentionTask) (r run) {
	t.Helper()
	require.NoError(t, connect(t, b.db.Superuser).QueryRow(t.Context(),
		`select started_at, finished_at, deleted, deleted_total, runs from lectern.retention_runs where task = $1`, task).
		Scan(&r.Started, &r.Finished, &r.Deleted, &r.Total, &r.Runs))
	return r
}

func TestExpiredKeyGoesAndALiveOneStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, b.course(t), domain.StateStage4Init) // leaves a key of a day
	b.expire(t, 3)
	deleted, more := deleteBatch(t, b.retention(t), keysRule(100))
	require.Equal(t, int64(3), deleted)
	require.False(t, more)
	require.Equal(t, 1, b.rows(t)["idempotency_keys"])
}

// moveTo moves a course that a command has started.
func (b *bundle) moveTo(t *testing.T, c domain.Course, states ...domain.State) {
	t.Helper()
	for _, state := range states {
		b.admin(t, `update lectern.courses set generation_status = $2 where id = $1`, c.ID, state)
	}
}

// age sets when an entry was processed, and when its inbox row was written.
func (b *bundle) age(t *testing.T, e domain.OutboxEntry, by time.Duration) {
	t.Helper()
	b.admin(t, `update lectern.job_outbox set processed_at = now() - $2::interval where outbox_id = $1`, e.ID, by)
	b.admin(t, `update lectern.processed_jobs set processed_at = now() - $2::interval where outbox_id = $1`, e.ID, by)
}

func (b *bundle) done(t *testing.T, e domain.OutboxEntry, consumer string) {
	t.Helper()
	b.admin(t, `insert into lectern.processed_jobs values ($1, $2, $3, 'completed')`, e.ID, consumer, e.CourseID)
}

func TestOnlyEntriesThatNothingCountsGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const old, young = 31 * day, 29 * day
	cases := map[string]struct {
		prepare func(domain.Course, domain.OutboxEntry)
		goes    bool
	}{
		"done, in a course that still runs": {func(_ domain.Course, e domain.OutboxEntry) {
			b.done(t, e, "workers")
			b.age(t, e, old)
		}, true},
		"of a failed course": {func(c domain.Course, e domain.OutboxEntry) {
			b.moveTo(t, c, domain.StateFailed)
			b.age(t, e, old)
		}, true},
		"of a cancelled course": {func(c domain.Course, e domain.OutboxEntry) {
			b.moveTo(t, c, domain.StateCancelled)
			b.age(t, e, old)
		}, true},
		"of a completed course": {func(c domain.Course, e domain.OutboxEntry) {
			b.moveTo(t, c, domain.StateStage5Generating, domain.StateStage5Complete, domain.StateFinalizing, domain.StateCompleted)
			b.age(t, e, old)
		}, true},
		"of an earlier run": {func(c domain.Course, e domain.OutboxEntry) {
			b.moveTo(t, c, domain.StateCancelled, domain.StatePending, domain.StateStage4Init)
			b.age(t, e, old)
		}, true},
		"not done, in a course that runs": {func(_ domain.Course, e domain.OutboxEntry) {
			b.age(t, e, old)
		}, false},
		"seen by a listener, in a course that runs": {func(_ domain.Course, e domain.OutboxEntry) {
			b.done(t, e, "backup")
			b.age(t, e, old)
		}, false},
		"young": {func(c domain.Course, e domain.OutboxEntry) {
			b.moveTo(t, c, domain.StateFailed)
			b.age(t, e, young)
		}, false},
		"pending": {func(c domain.Course, e domain.OutboxEntry) {
			b.moveTo(t, c, domain.StateFailed)
			b.admin(t, `update lectern.job_outbox set created_at = now() - interval '1 year' where outbox_id = $1`, e.ID)
		}, false},
		"dead": {func(c domain.Course, e domain.OutboxEntry) {
			b.moveTo(t, c, domain.StateFailed)
			b.admin(t, `update lectern.job_outbox set dead_at = now() - interval '1 year' where outbox_id = $1`, e.ID)
		}, false},
	}
	courses := map[string]domain.Course{}
	for name, tc := range cases {
		c := b.course(t)
		tc.prepare(c, b.start(t, c, domain.StateStage5Init, job(t, domain.QueueStructureGeneration, c.ID))[0])
		courses[name] = c
	}
	before := b.rows(t)

	deleted, more := deleteBatch(t, b.retention(t), entriesRule())

	require.Equal(t, int64(5), deleted)
	require.False(t, more)
	for name, c := range courses {
		entries, err := b.courses.Entries(t.Context(), b.caller, c.ID)
		require.NoError(t, err)
		require.Equal(t, cases[name].goes, len(entries) == 0, name)
	}
	before["job_outbox"] -= 5
	require.Equal(t, before, b.rows(t), "nothing else went")
}

func TestCourseDoesNotPassAJobThatWasNotDoneHoweverOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, entries := b.three(t)
	onward := domain.Onward{States: []domain.State{domain.StateStage2Complete}}
	for _, e := range entries[:2] {
		b.begin(t, e)
	}
	b.advance(t, domain.Step{Job: delivery(entries[0]), OnLast: onward})
	for _, e := range entries {
		b.age(t, e, 365*day)
	}
	r := b.retention(t)
	deleted, _ := deleteBatch(t, r, entriesRule())
	require.Equal(t, int64(1), deleted)
	deleted, _ = deleteBatch(t, r, inboxRule())
	require.Equal(t, int64(1), deleted)

	b.advance(t, domain.Step{Job: delivery(entries[1]), OnLast: onward})
	require.Equal(t, domain.StateStage2Processing, b.reload(t, c).State, "the third is left")
	b.begin(t, entries[2])
	b.advance(t, domain.Step{Job: delivery(entries[2]), OnLast: onward})
	require.Equal(t, domain.StateStage2Complete, b.reload(t, c).State)
}

func TestInboxRowOutlivesItsEntry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, entries := b.three(t)
	for i, age := range []time.Duration{61 * day, 61 * day, 59 * day} {
		b.done(t, entries[i], "workers")
		b.age(t, entries[i], age)
	}
	b.admin(t, `delete from lectern.job_outbox where outbox_id <> $1`, entries[0].ID)
	deleted, more := deleteBatch(t, b.retention(t), inboxRule())
	require.Equal(t, int64(1), deleted)
	require.False(t, more)

	left := map[uuid.UUID]bool{}
	rows, err := connect(t, b.db.Superuser).Query(t.Context(), `select outbox_id from lectern.processed_jobs where entity_id = $1`, c.ID)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	for _, id := range found {
		left[id] = true
	}
	require.Equal(t, map[uuid.UUID]bool{entries[0].ID: true, entries[2].ID: true}, left)
}

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

func TestOnlyTheRelaysRoleCleansUpAndOnlyByTheOneFunction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const clean = `select lectern.run_retention('keys', '1 day', '0', 1)`
	for _, dsn := range []string{b.db.App, b.db.Worker} {
		_, err := connect(t, dsn).Exec(t.Context(), clean)
		requireCode(t, "42501", err)
	}
	relay := connect(t, b.db.Relay)
	_, err := relay.Exec(t.Context(), clean)
	require.NoError(t, err)
	for _, call := range []string{"delete_expired_keys(1)", "delete_processed_entries('0', 1)", "delete_inbox_rows('0', 1)"} {
		_, err := relay.Exec(t.Context(), "select lectern."+call)
		requireCode(t, "42501", err)
	}
}

func TestCleanUpThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	relay := connect(t, setup(t).db.Relay)
	for _, arguments := range []string{
		"'courses', '1 day', '1 day', 1", "null, '1 day', '1 day', 1", "'keys', null, '1 day', 1",
		"'keys', '1 day', null, 1", "'keys', '1 day', '1 day', 0", "'keys', '1 day', '1 day', null",
	} {
		_, err := relay.Exec(t.Context(), "select lectern.run_retention("+arguments+")")
		requireCode(t, "22023", err)
	}
}

// A batch must cost the same on a table of any size.
func TestBatchReadsNoTableFromEndToEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.moveTo(t, c, domain.StateFailed)
	b.admin(t, `insert into lectern.job_outbox (outbox_id, entity_id, run, queue_name, job_data, processed_at)
		select gen_random_uuid(), $1, 1, 'summarization', '{}', now() - make_interval(hours => i / 10) from generate_series(1, 20000) i`, c.ID)
	b.admin(t, `insert into lectern.processed_jobs (outbox_id, consumer, entity_id, outcome, processed_at)
		select gen_random_uuid(), 'workers', $1, 'completed', now() - make_interval(hours => i / 10) from generate_series(1, 20000) i`, c.ID)
	b.expire(t, 20000)
	b.admin(t, `analyze`)

	conn := connect(t, b.db.Superuser)
	for range 7 { // from the sixth time on, a session may keep a plan
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `update lectern.retention_runs set started_at = null`)
		require.NoError(t, err)
		for _, task := range []string{"keys", "entries", "inbox"} {
			var deleted int
			require.NoError(t, tx.QueryRow(t.Context(), `select lectern.run_retention($1, '1 day', '30 days', 100)`, task).Scan(&deleted))
			require.Equal(t, 100, deleted, task)
		}
		var read int64
		require.NoError(t, tx.QueryRow(t.Context(), `select sum(seq_tup_read) from pg_stat_xact_user_tables
			where relname in ('idempotency_keys', 'job_outbox', 'processed_jobs')`).Scan(&read))
		require.Zero(t, read, "rows read by sequential scans")
		require.NoError(t, tx.Commit(t.Context()))
	}
}
