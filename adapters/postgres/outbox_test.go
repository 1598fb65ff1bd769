package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

func ids(entries []domain.OutboxEntry) []uuid.UUID {
	var out []uuid.UUID
	for _, e := range entries {
		out = append(out, e.ID)
	}
	return out
}

func (b *bundle) claim(t *testing.T) []domain.OutboxEntry {
	t.Helper()
	claimed, err := b.outbox.Claim(t.Context(), b.lease, 500)
	require.NoError(t, err)
	return claimed.Entries
}

func (b *bundle) three(t *testing.T) (domain.Course, []domain.OutboxEntry) {
	t.Helper()
	c := b.course(t)
	return c, b.start(t, c, domain.StateStage2Init,
		job(t, domain.QueueDocumentProcessing, c.ID), job(t, domain.QueueDocumentProcessing, c.ID), job(t, domain.QueueDocumentProcessing, c.ID))
}

func TestPublishedEntriesAreProcessedAndNotClaimedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, entries := b.three(t)
	claimed := b.claim(t)
	require.Equal(t, ids(entries), ids(claimed))
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{Published: claimed}))
	require.Empty(t, b.claim(t))

	after, err := b.courses.Entries(t.Context(), b.caller, c.ID)
	require.NoError(t, err)
	for _, e := range after {
		require.NotNil(t, e.ProcessedAt)
	}
	stats, err := b.outbox.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats.Depth)
	require.NotNil(t, stats.LastProcessed)
}

// By what each kind of update runs under, as a trigger sees it.
func TestSettlingDoesNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	_, err := admin.Exec(t.Context(), `
		create table public.seen (entry uuid, processed boolean, synchronous text);
		create function public.see() returns trigger language plpgsql security definer as $$
		begin
			insert into public.seen values (new.outbox_id, new.processed_at is not null, current_setting('synchronous_commit'));
			return null;
		end $$;
		create trigger see after update on lectern.job_outbox for each row execute function public.see()`)
	require.NoError(t, err)
	_, entries := b.three(t)
	b.claim(t)
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{
		Published: entries[:1], Dead: []domain.FailedEntry{{Entry: entries[1], Reason: "no"}},
	}))
	require.Equal(t, []string{"off"}, list(t, admin, `select distinct synchronous from public.seen where processed`))
	require.Equal(t, []string{"on"}, list(t, admin, `select distinct synchronous from public.seen where not processed`))
}

func TestFailedEntryHoldsBackItsCourseAndNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, entries := b.three(t)
	other, others := b.three(t)
	b.claim(t)
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{
		Retry: []domain.FailedEntry{{Entry: entries[1], Reason: "no", Delay: time.Hour}},
	}))
	require.Equal(t, append([]uuid.UUID{entries[0].ID}, ids(others)...), ids(b.claim(t)))
	due, parked, err := b.outbox.NextDue(t.Context())
	require.NoError(t, err)
	require.True(t, parked)
	require.InDelta(t, time.Hour.Seconds(), due.Seconds(), 600)

	// A command on the blocked course parks its entries too.
	_, err = connect(t, b.db.Superuser).Exec(t.Context(), `select lectern.add_entries($1, 1, $2, 'TEST', null)`, c.ID,
		`[{"outbox_id": "`+newID(t).String()+`", "queue": "summarization", "data": {}}]`)
	require.NoError(t, err)
	require.Len(t, b.claim(t), 4)

	// Due again: the whole tail comes back, in the old order, with new numbers.
	_, err = connect(t, b.db.Superuser).Exec(t.Context(), `update lectern.job_outbox set next_attempt_at = now() where parked = 'backoff'`)
	require.NoError(t, err)
	again := slices.DeleteFunc(b.claim(t), func(e domain.OutboxEntry) bool { return e.CourseID == other.ID })
	require.Equal(t, ids(entries), ids(again)[:3])
	require.Equal(t, 1, again[1].Attempts)
	require.Equal(t, "no", again[1].LastError)
	require.Greater(t, again[1].Seq, others[2].Seq)
	require.Len(t, again, 4)
}

func TestDelayedEntryIsClaimedWhenDueAndBlocksNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	later, now := job(t, domain.QueueDocumentProcessing, c.ID), job(t, domain.QueueDocumentProcessing, c.ID)
	at := time.Now().Add(time.Hour)
	later.Options.NotBefore = &at
	b.start(t, c, domain.StateStage2Init, later, now)
	require.Equal(t, []uuid.UUID{now.ID}, ids(b.claim(t)))
	_, err := connect(t, b.db.Superuser).Exec(t.Context(), `update lectern.job_outbox set next_attempt_at = now() where parked = 'delay'`)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{now.ID, later.ID}, ids(b.claim(t)))
}

func TestDeadEntryFailsItsCourse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, entries := b.three(t)
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{
		Dead: []domain.FailedEntry{{Entry: entries[0], Reason: "too large for the broker"}},
	}))
	require.Equal(t, ids(entries)[1:], ids(b.claim(t)))
	c = b.reload(t, c)
	require.Equal(t, domain.StateFailed, c.State)
	require.Contains(t, string(c.Metadata), "too large for the broker")
	stats, err := b.outbox.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), stats.Dead)
	require.Equal(t, int64(2), stats.Depth)
}

func TestADeadEntryOfAnEarlierRunTakesNoCourseAlong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, entries := b.three(t)
	b.change(t, c, domain.StateCancelled)
	b.change(t, c, domain.StatePending)
	b.start(t, c, domain.StateStage4Init)
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{
		Dead: []domain.FailedEntry{{Entry: entries[0], Reason: "too large for the broker"}},
	}))
	require.Equal(t, domain.StateStage4Init, b.reload(t, c).State)
	require.Equal(t, domain.EntryDead, b.entry(t, entries[0].ID).State())
}

// Whoever has locked a course, for however long, holds up that course alone.
func TestALockedCourseHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, entries := b.three(t)
	locked, _ := b.three(t)
	_, others := b.three(t)
	b.claim(t)
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{Published: entries, Retry: []domain.FailedEntry{
		{Entry: others[0], Reason: "not now"},
	}}))
	tx, err := connect(t, b.db.Superuser).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `update lectern.job_outbox set parked = 'delay', next_attempt_at = now() where entity_id = $1`, locked.ID)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	tx, err = connect(t, b.db.Superuser).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.lock_course($1)`, locked.ID)
	require.NoError(t, err)

	require.Equal(t, ids(others), ids(b.claim(t)))
	due, parked, err := b.outbox.NextDue(t.Context())
	require.NoError(t, err)
	require.True(t, parked)
	require.LessOrEqual(t, due, time.Duration(0))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Len(t, b.claim(t), 6)
}
