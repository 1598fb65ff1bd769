package postgres_test

import (
	"context"
	"testing"
	"time"

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
