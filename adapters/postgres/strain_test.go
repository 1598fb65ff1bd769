package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/domain"
	"lectern/e2e/stack"
)

// What a relay's outbox bears for long, here for a moment and in soak_test.go in
// full. Each has a server of its own: others' transactions, in whichever
// database, would hold up the cursor too.

// strainBatch is how many entries come between two claims.
const strainBatch = 20

// deliver adds entries and relays them, again and again: at least 30 times, and
// until enough says so. Each claim must have all that was added.
func (b *bundle) deliver(t *testing.T, admin *pgx.Conn, enough func(rounds int) bool) (rounds int) {
	t.Helper()
	course := uuid.New()
	for rounds < 30 || !enough(rounds) {
		added := addEntries(t, admin, course, strainBatch)
		claimed := b.claim(t)
		require.Equal(t, added, ids(claimed))
		require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{Published: claimed}))
		rounds++
	}
	return rounds
}

// cursorGoesOn is enough once the cursor has moved on, again and again.
func (b *bundle) cursorGoesOn() func(int) bool {
	moves, last := 0, b.outbox.Cursor()
	return func(int) bool {
		if at := b.outbox.Cursor(); at > last {
			moves, last = moves+1, at
		}
		return moves >= 2
	}
}

// unrelatedWriter keeps a write transaction open that never touches the outbox,
// in a database of the server.
func unrelatedWriter(t *testing.T, dsn string) {
	t.Helper()
	tx, err := connect(t, dsn).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select pg_current_xact_id()`)
	require.NoError(t, err)
}

func bearAnUnrelatedWriter(t *testing.T, database string, enough func(*bundle) func(int) bool) {
	t.Helper()
	b := setupOn(t, stack.StartPostgres(t).Database(t))
	admin := connect(t, b.db.Superuser)
	dsn := b.db.Superuser
	if database != "" {
		dsn = sameServer(t, dsn, database)
	}
	unrelatedWriter(t, dsn)
	b.deliver(t, admin, enough(b))
	require.Positive(t, b.outbox.Cursor(), "the list of locks has not helped")
}

func TestAnUnrelatedWriterHoldsUpNoDelivery(t *testing.T) {
	t.Parallel()
	bearAnUnrelatedWriter(t, "postgres", (*bundle).cursorGoesOn)
}

// reads is what has been read of job_outbox so far, once the relay's own
// connections have told: by scans of all of it, and from its indexes.
func (b *bundle) reads(t *testing.T, admin *pgx.Conn) (whole, indexed int64) {
	t.Helper()
	require.NoError(t, b.outbox.GiveBack(t.Context(), "test"))
	b.relayPool.Reset()
	_, err := admin.Exec(t.Context(), `select pg_stat_force_next_flush()`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		var others int
		err := admin.QueryRow(t.Context(), `select count(*) from pg_stat_activity where usename = 'lectern_relay' and datname = current_database()`).Scan(&others)
		return err == nil && others == 0
	}, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, admin.QueryRow(t.Context(), `select t.seq_tup_read, (select sum(idx_tup_read)::bigint from pg_stat_user_indexes i
		where i.relid = t.relid and i.indexrelname in ('job_outbox_ready', 'job_outbox_urgent', 'job_outbox_parked'))
		from pg_stat_user_tables t where relid = 'lectern.job_outbox'::regclass`).Scan(&whole, &indexed))
	b.lease, err = b.outbox.Balance(t.Context(), "test", time.Hour, 500)
	require.NoError(t, err)
	return whole, indexed
}

// readsPerEntry bounds what an entry costs to relay, in index entries: without a
// cursor, or without an index, it rises with all that went before.
const readsPerEntry = 20

// bearAndRead is deliver, and sees that what was settled is not read again.
func (b *bundle) bearAndRead(t *testing.T, admin *pgx.Conn, enough func(int) bool) {
	t.Helper()
	wholeBefore, indexedBefore := b.reads(t, admin)
	entries := int64(strainBatch * b.deliver(t, admin, enough))
	whole, indexed := b.reads(t, admin)
	t.Logf("%d entries: %d rows read by scans, %d index entries", entries, whole-wholeBefore, indexed-indexedBefore)
	require.Zero(t, whole-wholeBefore, "rows read by sequential scans")
	require.LessOrEqual(t, indexed-indexedBefore, readsPerEntry*entries)
}

func bearAnOldSnapshot(t *testing.T, enough func(*bundle) func(int) bool) {
	t.Helper()
	b := setupOn(t, stack.StartPostgres(t).Database(t))
	admin := connect(t, b.db.Superuser)
	b.fill(t, admin, 2000)
	reader, err := connect(t, b.db.Superuser).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	_, err = reader.Exec(t.Context(), `select count(*) from lectern.job_outbox`)
	require.NoError(t, err)
	b.bearAndRead(t, admin, enough(b))
}

func TestAnOldSnapshotMakesNoClaimReadMore(t *testing.T) {
	t.Parallel()
	bearAnOldSnapshot(t, func(*bundle) func(int) bool { return func(rounds int) bool { return rounds >= 100 } })
}

// fill adds entries that were processed long ago.
func (b *bundle) fill(t *testing.T, admin *pgx.Conn, n int) {
	t.Helper()
	course := uuid.New()
	addEntries(t, admin, course, 0)
	_, err := admin.Exec(t.Context(), fmt.Sprintf(`begin;
		set local session_replication_role = replica; -- no trigger, no foreign key: for speed
		insert into lectern.job_outbox (outbox_id, entity_id, run, queue_name, job_data, processed_at)
		select gen_random_uuid(), '%s', 1, 'summarization', '{}', now() - interval '1 day' from generate_series(1, %d);
		commit`, course, n))
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), `vacuum analyze lectern.job_outbox`)
	require.NoError(t, err)
}

func bearManyProcessed(t *testing.T, n int) {
	t.Helper()
	b := setupOn(t, stack.StartPostgres(t).Database(t))
	admin := connect(t, b.db.Superuser)
	b.fill(t, admin, n)
	b.bearAndRead(t, admin, func(int) bool { return true })
	urgent := addEntries(t, admin, uuid.New(), 1, domain.JobOptions{Priority: 9})
	claimed := b.claim(t)
	require.Equal(t, urgent, ids(claimed))
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{Retry: []domain.FailedEntry{{Entry: claimed[0], Reason: "no"}}}))
	require.Equal(t, urgent, ids(b.claim(t)), "due at once")
	stats, err := b.outbox.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), stats.Depth)
}

func TestManyProcessedEntriesMakeNoClaimReadMore(t *testing.T) {
	t.Parallel()
	bearManyProcessed(t, 20_000)
}
