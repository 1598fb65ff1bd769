package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
	"lectern/ports"
)

// courseOf returns a new course of a partition.
func courseOf(partition byte) uuid.UUID {
	c := uuid.New()
	c[15] = partition
	return c
}

// later lets time pass for all that is parked.
func later(t *testing.T, conn execer, d time.Duration) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `update lectern.job_outbox set next_attempt_at = next_attempt_at - $1::interval where parked is not null`, d)
	require.NoError(t, err)
}

func (b *bundle) retry(t *testing.T, failed ...domain.FailedEntry) {
	t.Helper()
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{Retry: failed}))
}

func failedFor(e domain.OutboxEntry, d time.Duration) domain.FailedEntry {
	return domain.FailedEntry{Entry: e, Reason: "no", Delay: d}
}

// Each has a delay of its own, and the second's is over first.
func TestTwoOfACourseThatFailTogetherKeepTheirOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	both := addEntries(t, admin, uuid.New(), 2)
	claimed := b.claim(t)
	require.Equal(t, both, ids(claimed))
	b.retry(t, failedFor(claimed[0], 2*time.Hour), failedFor(claimed[1], time.Hour))
	later(t, admin, 90*time.Minute)
	require.Empty(t, b.claim(t))
	later(t, admin, time.Hour)
	require.Equal(t, both, ids(b.claim(t)))
}

func TestADateThatComesPassesNothingThatBacksOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	course, date := uuid.New(), time.Now().Add(time.Hour)
	first := addEntries(t, admin, course, 1)
	dated := addEntries(t, admin, course, 1, domain.JobOptions{NotBefore: &date})
	claimed := b.claim(t)
	require.Equal(t, first, ids(claimed))
	b.retry(t, failedFor(claimed[0], 3*time.Hour))
	later(t, admin, 2*time.Hour)
	require.Empty(t, b.claim(t))
	later(t, admin, 2*time.Hour)
	require.Equal(t, first, ids(b.claim(t)), "the other's date has not come by the clock, only by the test's")
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{Published: b.claim(t)}))
	later(t, admin, 2*time.Hour)
	require.Equal(t, dated, ids(b.claim(t)), "it has its date back")
}

// An entry that is blocked, and whose own date is over, is not looked at again and
// again as due, where a batch of such courses would hide all others.
func TestWhatIsBlockedIsNotDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	course, past := uuid.New(), time.Now()
	addEntries(t, admin, course, 1)
	b.retry(t, failedFor(b.claim(t)[0], time.Hour))
	addEntries(t, admin, course, 1, domain.JobOptions{NotBefore: &past}) // as a job is that a worker tries again
	later(t, admin, 2*time.Hour)
	claimed := b.claim(t)
	require.Len(t, claimed, 2)
	b.retry(t, failedFor(claimed[0], time.Hour))
	require.Empty(t, b.claim(t))

	innocent := addEntries(t, admin, uuid.New(), 1, domain.JobOptions{NotBefore: &past})
	got, err := b.outbox.Claim(t.Context(), b.lease, 1)
	require.NoError(t, err)
	require.Equal(t, innocent, ids(got.Entries))
	due, parked, err := b.outbox.NextDue(t.Context())
	require.NoError(t, err)
	require.True(t, parked)
	require.Positive(t, due)
}

func TestALockedCourseHidesNoneThatAreDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	course, past := uuid.New(), time.Now()
	locked := addEntries(t, admin, course, 1, domain.JobOptions{NotBefore: &past})
	tx, err := connect(t, b.db.Superuser).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.lock_course($1)`, course)
	require.NoError(t, err)
	innocent := addEntries(t, admin, uuid.New(), 1, domain.JobOptions{NotBefore: &past})
	got, err := b.outbox.Claim(t.Context(), b.lease, 1) // as many as are locked
	require.NoError(t, err)
	require.Equal(t, innocent, ids(got.Entries))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, append(innocent, locked...), ids(b.claim(t)))
}

// newHolder takes over all that holders have who were killed.
func newHolder(t *testing.T, b *bundle, name string) (*postgres.Outbox, ports.Lease) {
	t.Helper()
	o := newOutbox(t, open(t, b.db.Relay))
	lease, err := o.Balance(t.Context(), name, time.Hour, 500)
	require.NoError(t, err)
	return o, lease
}

// kill lets the time of holders pass, as if they had been killed long ago.
func kill(t *testing.T, conn execer, holders ...string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `with gone as (delete from lectern.relays where holder = any ($1))
		update lectern.leases set expires_at = now() where holder = any ($1)`, holders)
	require.NoError(t, err)
}

// An entry that was alone in one death, and in nobody's hand in those that a
// poison in another partition brings afterwards, has one death.
func TestADeathCountsAgainstNoneThatWasNotInHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	poison, innocent := addEntries(t, admin, courseOf(0), 1), addEntries(t, admin, courseOf(63), 1)
	require.Len(t, b.claim(t), 2)
	kill(t, admin, "test")
	_, err := newOutbox(t, open(t, b.db.Relay)).Hold(t.Context(), "two", time.Hour) // so that the first takes a half
	require.NoError(t, err)
	for _, name := range []string{"one", "two"} {
		o, lease := newHolder(t, b, name)
		require.Len(t, lease.Partitions, 32)
		claimed, err := o.Claim(t.Context(), lease, 500)
		require.NoError(t, err)
		require.Len(t, claimed.Entries, 1)
	}
	kill(t, admin, "one", "two")
	for deaths, name := range []string{"", "c", "d", "e", "f"} {
		if deaths == 0 {
			continue
		}
		o, lease := newHolder(t, b, name)
		claimed, err := o.Claim(t.Context(), lease, 500)
		require.NoError(t, err)
		require.Equal(t, poison, ids(claimed.Entries))
		require.Equal(t, deaths, claimed.Crashes)
		kill(t, admin, name)
	}
	o, lease := newHolder(t, b, "g")
	claimed, err := o.Claim(t.Context(), lease, 500)
	require.NoError(t, err)
	require.Equal(t, 5, claimed.Crashes)
	require.NoError(t, o.Settle(t.Context(), lease, domain.Settlement{Dead: []domain.FailedEntry{{Entry: claimed.Entries[0], Reason: "five"}}}))
	claimed, err = o.Claim(t.Context(), lease, 500)
	require.NoError(t, err)
	require.Equal(t, innocent, ids(claimed.Entries))
	require.Equal(t, 1, claimed.Crashes)
}

// Its sender lives on and does other things: a later death is not its.
func TestAnEntryThatCouldNotBeSettledIsNotInHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	course := courseOf(0)
	entry := addEntries(t, admin, course, 1)
	require.Len(t, b.claim(t), 1)
	kill(t, admin, "test")
	o, lease := newHolder(t, b, "next")
	claimed, err := o.Claim(t.Context(), lease, 500)
	require.NoError(t, err)
	require.Equal(t, entry, ids(claimed.Entries))
	tx, err := connect(t, b.db.Superuser).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.lock_course($1)`, course)
	require.NoError(t, err)
	require.Error(t, o.Settle(t.Context(), lease, domain.Settlement{Retry: []domain.FailedEntry{failedFor(claimed.Entries[0], 0)}}))
	require.NoError(t, tx.Rollback(t.Context()))
	kill(t, admin, "next")
	third, lease := newHolder(t, b, "third")
	claimed, err = third.Claim(t.Context(), lease, 500)
	require.NoError(t, err)
	require.Equal(t, entry, ids(claimed.Entries))
	require.Zero(t, claimed.Crashes)
}
