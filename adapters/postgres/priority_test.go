package postgres_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// Urgent entries leave from beyond what waits: the cursor may follow none of
// them past it.
func cursorStaysBeforeThePassed(c *cursorT) {
	course := uuid.New()
	old := addEntries(c.T, c.admin, course, 10)
	for range 3 {
		urgent := addEntries(c.T, c.admin, uuid.New(), 2, domain.JobOptions{Priority: 9})
		for range 3 { // any round comes to its end
			claimed, err := c.outbox.Claim(c.Context(), c.lease, 5)
			require.NoError(c, err)
			require.Equal(c, urgent, ids(claimed.Entries)[:2])
			require.Zero(c, c.outbox.Cursor())
		}
		claimed, err := c.outbox.Claim(c.Context(), c.lease, 5)
		require.NoError(c, err)
		require.NoError(c, c.outbox.Settle(c.Context(), c.lease, domain.Settlement{Published: claimed.Entries[:2]}))
	}
	require.Equal(c, old, c.claim())
	c.requireAllPassed()
}

// The same for one that is urgent, commits late, and is behind what has left.
func cursorWaitsForTheUrgent(c *cursorT) {
	writer := c.tx(c.db.Superuser)
	late := addEntries(c.T, writer, uuid.New(), 1, domain.JobOptions{Priority: 1})
	require.Len(c, addEntries(c.T, c.admin, uuid.New(), 2), len(c.claim()))
	c.idle()
	require.NoError(c, writer.Commit(c.Context()))
	require.Equal(c, late, c.claim())
	c.requireAllPassed()
}

// A delay keeps an urgent entry parked; when it is over the entry is urgent.
func TestADelayedEntryIsUrgentOnceItIsDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := connect(t, b.db.Superuser)
	old := addEntries(t, admin, uuid.New(), 3)
	urgent := addEntries(t, admin, uuid.New(), 1, domain.JobOptions{Priority: 1})
	_, err := admin.Exec(t.Context(), `update lectern.job_outbox set parked = 'delay', next_attempt_at = now() + interval '1 hour' where outbox_id = $1`, urgent[0])
	require.NoError(t, err)
	require.Equal(t, old, ids(b.claim(t)))
	_, err = admin.Exec(t.Context(), `update lectern.job_outbox set next_attempt_at = now() where parked = 'delay'`)
	require.NoError(t, err)
	require.Equal(t, append(urgent, old...), ids(b.claim(t)))
}
