package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

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
