package portstest

import (
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

func outboxSuspects(t *outboxT) {
	ids := append(t.Add(t.T, courseIn(3), 2), t.Add(t.T, courseIn(4), 2)...)
	t.start("died").claim(1000)
	t.Expire(t.T, "died")
	r := t.start("next")
	require.True(t, r.lease.Suspect)
	later := t.Add(t.T, courseIn(3), 2)
	for _, id := range ids {
		claimed := r.claim(1000)
		require.Equal(t, []uuid.UUID{id}, entryIDs(claimed.Entries))
		require.Zero(t, claimed.Crashes)
		r.settle(domain.Settlement{Published: claimed.Entries})
	}
	require.Equal(t, later, r.claimIDs(), "the rest leaves together")
	r.hold()
	require.False(t, r.lease.Suspect)
}

func outboxTrusts(t *outboxT) {
	ids := t.Add(t.T, courseIn(3), 3)
	stopped := t.start("stopped")
	stopped.claim(1000)
	require.NoError(t, stopped.GiveBack(t.Context(), "stopped"))
	require.Equal(t, ids, t.start("next").claimIDs())
}

func outboxCounts(t *outboxT) {
	ids := t.Add(t.T, courseIn(3), 3)
	t.start("died").claim(1000) // together: nobody's fault
	for crashes := range 5 {
		t.Expire(t.T, []string{"died", "a", "b", "c", "d"}[crashes])
		claimed := t.start([]string{"a", "b", "c", "d", "e"}[crashes]).claim(1000)
		require.Equal(t, ids[:1], entryIDs(claimed.Entries))
		require.Equal(t, crashes, claimed.Crashes)
	}
	t.Expire(t.T, "e")
	r := t.start("f")
	claimed := r.claim(1000)
	require.Equal(t, 5, claimed.Crashes)
	r.settle(domain.Settlement{Dead: []domain.FailedEntry{{Entry: claimed.Entries[0], Reason: "five died of it"}}})
	for _, id := range ids[1:] {
		claimed = r.claim(1000)
		require.Equal(t, []uuid.UUID{id}, entryIDs(claimed.Entries))
		require.Zero(t, claimed.Crashes, "another's")
		r.settle(domain.Settlement{Published: claimed.Entries})
	}
	require.Empty(t, r.claimIDs())
}

func outboxSuspectsOneBatch(t *outboxT) {
	ids := t.Add(t.T, courseIn(3), 3*outboxBatch)
	t.start("died").claim(outboxBatch)
	t.Expire(t.T, "died")
	r := t.start("next")
	for _, id := range ids[:outboxBatch] {
		claimed := r.claim(1000).Entries
		require.Equal(t, []uuid.UUID{id}, entryIDs(claimed))
		r.settle(domain.Settlement{Published: claimed})
	}
	require.Equal(t, ids[outboxBatch:], r.claimIDs())
}

func outboxAcquits(t *outboxT) {
	ids := t.Add(t.T, courseIn(3), 1)
	t.start("died").claim(1000)
	t.Expire(t.T, "died")
	r := t.start("next")
	require.Equal(t, ids, r.claimIDs())
	r.settle(domain.Settlement{}) // the broker was down
	t.Expire(t.T, "next")
	claimed := t.start("last").claim(1000)
	require.Equal(t, ids, entryIDs(claimed.Entries))
	require.Zero(t, claimed.Crashes)
}
