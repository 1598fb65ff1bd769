package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// clockJumps is the database's clock that jumps, as the outbox sees it: all
// times that it keeps are other times from now.
func clockJumps(t *testing.T, admin *pgx.Conn, by time.Duration) {
	t.Helper()
	for _, statement := range []string{
		`update lectern.leases set expires_at = expires_at - $1::interval`,
		`update lectern.relays set expires_at = expires_at - $1::interval`,
		`update lectern.job_outbox set next_attempt_at = next_attempt_at - $1::interval, created_at = created_at - $1::interval`,
	} {
		_, err := admin.Exec(t.Context(), statement, by)
		require.NoError(t, err)
	}
}

// Its leases are over before its holder can know: another has them, and what
// the first had in hand is fenced.
func TestAClockThatJumpsAheadLosesAndReordersNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	course := uuid.New()
	added := addEntries(t, admin, course, 3)
	inHand := b.claim(t)
	clockJumps(t, admin, 2*time.Hour)
	next := newOutbox(t, open(t, b.db.Relay))
	lease, err := next.Balance(t.Context(), "next", time.Hour, 500)
	require.NoError(t, err)
	require.Len(t, lease.Partitions, len(b.lease.Partitions))
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{Published: inHand}))
	require.Empty(t, b.claim(t))
	for _, id := range added { // each alone: its holder seems to have died
		claimed, err := next.Claim(t.Context(), lease, 500)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{id}, ids(claimed.Entries))
		require.NoError(t, next.Settle(t.Context(), lease, domain.Settlement{Published: claimed.Entries}))
	}
}

// A holder that lives takes its time from the clock that there is now.
func TestAClockThatJumpsBackHoldsUpNoRelayThatLives(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	added := addEntries(t, admin, uuid.New(), 3)
	inHand := b.claim(t)
	clockJumps(t, admin, -2*time.Hour)
	held, err := b.outbox.Hold(t.Context(), "test", time.Hour)
	require.NoError(t, err)
	require.Equal(t, b.lease, held)
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{
		Published: inHand[:1], Retry: []domain.FailedEntry{{Entry: inHand[1], Reason: "no"}},
	}))
	require.Equal(t, added[1:], ids(b.claim(t)), "due by the clock that there is now")
	clockJumps(t, admin, 90*time.Minute) // back, and the lease is as short as it was asked for
	next := newOutbox(t, open(t, b.db.Relay))
	lease, err := next.Balance(t.Context(), "next", time.Hour, 500)
	require.NoError(t, err)
	require.Len(t, lease.Partitions, len(b.lease.Partitions))
}

// The process's clock can't jump, for what is measured with it is monotonic;
// should it all the same, the cursor only waits longer, or less.
func cursorBearsItsClocksJumps(c *cursorT) {
	c.unrelated(c.db.Superuser)
	require.Len(c, addEntries(c.T, c.admin, uuid.New(), 2), len(c.claim()))
	c.now = c.now.Add(-time.Hour)
	more := addEntries(c.T, c.admin, uuid.New(), 2)
	require.Equal(c, more, c.claim())
	c.now = c.now.Add(2 * time.Hour)
	c.idle()
	c.now = c.now.Add(2 * time.Hour)
	c.requireAllPassed()
}

// What is parked comes back behind a cursor that is past its old number.
func cursorFarAhead(c *cursorT) {
	organization := uuid.New() // of the one course that an operator sees
	at := time.Now().Add(time.Hour)
	failing, dying := addEntries(c.T, c.admin, uuid.New(), 5), addEntries(c.T, c.admin, organization, 3)
	delayed := addEntries(c.T, c.admin, uuid.New(), 2, domain.JobOptions{NotBefore: &at})
	claimed, err := c.outbox.Claim(c.Context(), c.lease, 500)
	require.NoError(c, err)
	require.Len(c, claimed.Entries, len(failing)+len(dying))
	require.NoError(c, c.outbox.Settle(c.Context(), c.lease, domain.Settlement{
		Published:      claimed.Entries[:1],
		Retry:          []domain.FailedEntry{{Entry: claimed.Entries[1], Reason: "no", Delay: time.Hour}},
		Dead:           []domain.FailedEntry{{Entry: claimed.Entries[len(failing)], Reason: "never"}},
		HoldBehindDead: true,
	}))
	far := func() {
		require.Len(c, addEntries(c.T, c.admin, uuid.New(), 50), len(c.claim()))
		c.requireAllPassed()
	}
	far()
	c.exec(c.admin, `update lectern.job_outbox set next_attempt_at = now() where parked = 'delay'`)
	require.Equal(c, delayed, c.claim())
	far()
	c.exec(c.admin, `update lectern.job_outbox set next_attempt_at = now() where parked = 'backoff'`)
	require.Equal(c, failing[1:], c.claim(), "with what was blocked behind it")
	far()
	operator := &bundle{db: c.db, caller: domain.Identity{OrganizationID: organization, UserID: organization}}
	require.Empty(c, operator.redrive(c.T, dying[0])[0].Refusal)
	require.Equal(c, dying, c.claim(), "with what was held behind it")
	far()
}
