package portstest

import (
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

func outboxRaises(t *outboxT) {
	plain, course := courseIn(1), courseIn(2)
	old := t.Add(t.T, plain, 10)
	before := t.Add(t.T, course, 2)
	urgent := t.AddUrgent(t.T, course, 1)
	after := t.Add(t.T, course, 1)
	r := t.start("one")
	raised := append(slices.Clone(before), urgent)
	want := slices.Concat(raised, old, after)
	require.Equal(t, want[:5], entryIDs(r.claim(5).Entries), "what comes before it in its course goes first")
	require.Equal(t, slices.Concat(raised[:1], old[:1]), entryIDs(r.claim(2).Entries), "cut off, it is still in order")
	claimed := r.claim(1000).Entries
	require.Equal(t, want, entryIDs(claimed))
	r.settle(domain.Settlement{Published: claimed[1:3]})
	require.Equal(t, slices.Concat(old, raised[:1], after), r.claimIDs(), "there is nothing urgent any more")
}

func outboxRanks(t *outboxT) {
	a, b, c := courseIn(1), courseIn(1), courseIn(2)
	first := t.Add(t.T, a, 1)
	low := t.AddUrgent(t.T, a, 2)
	t.Add(t.T, b, 0)
	t.Add(t.T, c, 0)
	middle := t.AddUrgent(t.T, b, 5)
	high := t.AddUrgent(t.T, c, 9)
	middleToo := t.AddUrgent(t.T, c, 5) // behind one that is more urgent
	highToo := t.AddUrgent(t.T, a, 9)   // takes along one that is less urgent
	require.Equal(t, slices.Concat([]uuid.UUID{high}, first, []uuid.UUID{low, highToo, middle, middleToo}), t.start("one").claimIDs())
}

// outboxKeepsAShare adds more urgent entries than are claimed, for as long as
// there is anything else.
func outboxKeepsAShare(t *outboxT) {
	const limit = 10
	plain, urgent := courseIn(1), courseIn(2)
	old := t.Add(t.T, plain, 8)
	t.Add(t.T, urgent, 0)
	r := t.start("one")
	for len(old) > 0 {
		for range limit {
			t.AddUrgent(t.T, urgent, 9)
		}
		claimed := r.claim(limit).Entries
		require.Len(t, claimed, limit)
		require.Equal(t, old[:2], entryIDs(claimed[8:]), "a fifth is for the oldest")
		r.settle(domain.Settlement{Published: claimed})
		old = old[2:]
	}
	require.Equal(t, 9, r.claim(1000).Entries[0].Options.Priority)
}

// outboxLosesNothingBehindUrgent lets several relays take turns at claims of any
// size, while entries of any priority come.
func outboxLosesNothingBehindUrgent(t *outboxT) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // nothing to guess
	relays := []*relay{t.start("one"), t.start("two")}
	for _, r := range relays {
		r.balance()
	}
	want, got := map[uuid.UUID][]uuid.UUID{}, map[uuid.UUID][]uuid.UUID{}
	var courses []uuid.UUID
	for p := range 6 {
		courses = append(courses, courseIn(p*11))
		t.Add(t.T, courses[p], 0)
	}
	send := func(r *relay, limit int) int {
		claimed := r.claim(limit).Entries
		require.LessOrEqual(t, len(claimed), limit)
		sent := claimed[:random.IntN(len(claimed)+1)] // the rest found no broker
		for _, e := range sent {
			got[e.CourseID] = append(got[e.CourseID], e.ID)
		}
		r.settle(domain.Settlement{Published: sent})
		return len(claimed)
	}
	for range 60 {
		course := courses[random.IntN(len(courses))]
		if random.IntN(2) == 0 {
			want[course] = append(want[course], t.Add(t.T, course, 1+random.IntN(3))...)
		} else {
			want[course] = append(want[course], t.AddUrgent(t.T, course, 1+random.IntN(9)))
		}
		if random.IntN(2) == 0 {
			send(relays[random.IntN(2)], 1+random.IntN(8))
		}
	}
	for _, r := range relays {
		for send(r, 7) > 0 {
		}
	}
	require.Equal(t, want, got, "each course's entries, once and in order")
}

// outboxSuspectsTheRaised has more entries before the poison than a batch takes.
func outboxSuspectsTheRaised(t *outboxT) {
	plain, urgent := courseIn(1), courseIn(2)
	old := t.Add(t.T, plain, 3*outboxBatch)
	before := t.Add(t.T, urgent, 1)
	poison := t.AddUrgent(t.T, urgent, 9)
	r := t.start("a")
	require.Equal(t, poison, r.claim(outboxBatch).Entries[1].ID)
	t.Expire(t.T, "a") // died of it
	r = t.start("b")
	for _, id := range append(slices.Clone(old[:outboxBatch]), before...) {
		claimed := r.claim(outboxBatch).Entries
		require.Equal(t, []uuid.UUID{id}, entryIDs(claimed))
		r.settle(domain.Settlement{Published: claimed})
	}
	require.Equal(t, []uuid.UUID{poison}, entryIDs(r.claim(outboxBatch).Entries))
	t.Expire(t.T, "b") // again, and with nothing else in hand
	r = t.start("c")
	for id := old[outboxBatch]; ; id = old[outboxBatch] {
		claimed := r.claim(outboxBatch)
		require.Len(t, claimed.Entries, 1)
		if claimed.Entries[0].ID == poison {
			require.Equal(t, 1, claimed.Crashes)
			r.settle(domain.Settlement{Dead: []domain.FailedEntry{{Entry: claimed.Entries[0], Reason: "one died of it"}}})
			break
		}
		require.Equal(t, id, claimed.Entries[0].ID)
		r.settle(domain.Settlement{Published: claimed.Entries})
		old = old[1:]
	}
	require.Equal(t, old[outboxBatch:], r.claimIDs(), "the rest leaves together")
}
