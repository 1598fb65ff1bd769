package portstest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
	"lectern/ports"
)

// OutboxHarness is an outbox that TestOutbox tries, of one test alone and empty.
type OutboxHarness struct {
	// Relay returns one more relay's view of it, let go of when the test ends.
	Relay func(t *testing.T) ports.Outbox
	// Add commits n entries of a course, in order, and makes the course if need be.
	Add func(t *testing.T, course uuid.UUID, n int) []uuid.UUID
	// AddUrgent commits one entry with a priority of a course that there is.
	AddUrgent func(t *testing.T, course uuid.UUID, priority int) uuid.UUID
	// Expire lets the time of a holder pass: that of its leases and of itself.
	Expire func(t *testing.T, holder string)
}

// TestOutbox checks that outboxes keep the contract of ports.Outbox. The
// harness is made anew for each test.
func TestOutbox(t *testing.T, harness func(t *testing.T) OutboxHarness) {
	t.Helper()
	for name, run := range map[string]func(*outboxT){
		"OneRelayHoldsAll":                            outboxOneHoldsAll,
		"RelaysThatComeAndGoShareFairly":              outboxShares,
		"EachCourseIsClaimedByOneRelayInOrder":        outboxClaimsInOrder,
		"WhatIsNotSettledIsClaimedAgain":              outboxClaimsAgain,
		"WhatIsSettledIsNot":                          outboxSettles,
		"AnEntryThatComesLaterIsClaimed":              outboxSeesLater,
		"AFailedEntryHoldsUpItsCourseAlone":           outboxParks,
		"WhatIsDueIsMadeReadyByWhoHasIt":              outboxMakesReady,
		"ADeadEntryLetsItsCoursesOthersPass":          outboxBuries,
		"AHolderWhoseTimePassedIsFenced":              outboxFences,
		"AHolderWhoseTimePassedUnnoticedGoesOn":       outboxForgives,
		"APartitionThatComesBackIsSeenFromTheStart":   outboxStartsAnew,
		"WhatADeadHolderMayHaveHadLeavesAlone":        outboxSuspects,
		"WhatWasGivenBackIsNotSuspect":                outboxTrusts,
		"DeathsWithOneEntryInHandAreCounted":          outboxCounts,
		"ALongBacklogIsSuspectForOneBatchAlone":       outboxSuspectsOneBatch,
		"AnAttemptThatEndsWithoutDeathIsNoneOfDeaths": outboxAcquits,
		"AnUrgentEntryTakesItsCourseAlong":            outboxRaises,
		"TheMostUrgentLeaveFirst":                     outboxRanks,
		"NoPriorityStarvesTheOldest":                  outboxKeepsAShare,
		"WhatIsPassedOverIsNotLost":                   outboxLosesNothingBehindUrgent,
		"AnUrgentPoisonIsFound":                       outboxSuspectsTheRaised,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(&outboxT{t, harness(t)})
		})
	}
}

// outboxT is a test's state, with an outbox of its own.
type outboxT struct {
	*testing.T
	OutboxHarness
}

const (
	outboxTTL   = time.Hour // only Expire ends it
	outboxBatch = 5
)

// relay is one relay, with its holder's name and the lease it got last.
type relay struct {
	*outboxT
	ports.Outbox
	name  string
	lease ports.Lease
}

func (t *outboxT) relay(name string) *relay {
	t.Helper()
	return &relay{outboxT: t, Outbox: t.Relay(t.T), name: name}
}

// start is a relay that has balanced.
func (t *outboxT) start(name string) *relay {
	t.Helper()
	r := t.relay(name)
	r.balance()
	return r
}

func (r *relay) balance() int {
	r.Helper()
	lease, err := r.Balance(r.Context(), r.name, outboxTTL, outboxBatch)
	require.NoError(r, err)
	r.lease = lease
	return len(lease.Partitions)
}

func (r *relay) hold() int {
	r.Helper()
	lease, err := r.Hold(r.Context(), r.name, outboxTTL)
	require.NoError(r, err)
	r.lease = lease
	return len(lease.Partitions)
}

func (r *relay) claim(limit int) ports.Claimed {
	r.Helper()
	claimed, err := r.Claim(r.Context(), r.lease, limit)
	require.NoError(r, err)
	return claimed
}

// claimIDs claims all there is and returns the ids.
func (r *relay) claimIDs() []uuid.UUID {
	r.Helper()
	return entryIDs(r.claim(1000).Entries)
}

func (r *relay) settle(s domain.Settlement) {
	r.Helper()
	require.NoError(r, r.Settle(r.Context(), r.lease, s))
}

func entryIDs(entries []domain.OutboxEntry) []uuid.UUID {
	ids := []uuid.UUID{}
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

// courseIn makes the id of a course that is in a partition.
func courseIn(partition int) uuid.UUID {
	id := uuid.New()
	id[15] = id[15]&^(ports.OutboxPartitions-1) | byte(partition)
	return id
}

func outboxOneHoldsAll(t *outboxT) {
	r := t.start("one")
	require.Len(t, r.lease.Partitions, ports.OutboxPartitions)
	first := r.lease
	r.balance()
	require.Equal(t, first, r.lease, "its tokens stay")
	r.hold()
	require.Equal(t, first, r.lease)
}

func outboxShares(t *outboxT) {
	one := t.start("one")
	two := t.relay("two")
	require.Zero(t, two.hold(), "to hold is not to take")
	require.Zero(t, two.balance(), "none is free")
	require.Equal(t, 32, one.balance())
	require.Equal(t, 32, two.balance())
	three := t.start("three")
	require.Equal(t, 22, one.balance())
	require.Equal(t, 22, two.balance())
	require.Equal(t, 20, three.balance())
	all := map[int16]bool{}
	for _, p := range slices.Concat(one.lease.Partitions, two.lease.Partitions, three.lease.Partitions) {
		all[p.Partition] = true
	}
	require.Len(t, all, ports.OutboxPartitions)

	require.NoError(t, two.GiveBack(t.Context(), "two"))
	require.Equal(t, 32, one.balance())
	require.Equal(t, 32, three.balance())
	t.Expire(t.T, "one") // died
	require.Equal(t, 64, three.balance())
	require.Zero(t, one.hold())
}

func outboxClaimsInOrder(t *outboxT) {
	one, two := t.start("one"), t.start("two")
	one.balance()
	two.balance()
	want := map[uuid.UUID][]uuid.UUID{}
	for round := range 3 {
		for p := range ports.OutboxPartitions {
			course := uuid.UUID{6: 0x40, 8: 0x80, 15: byte(p)}
			want[course] = append(want[course], t.Add(t.T, course, 1+round)...)
		}
	}
	got := map[uuid.UUID][]uuid.UUID{}
	for _, r := range []*relay{one, two} {
		claimed := r.claim(1000).Entries
		require.Len(t, claimed, 32*6)
		for _, e := range claimed {
			got[e.CourseID] = append(got[e.CourseID], e.ID)
		}
	}
	require.Equal(t, want, got)
}

func outboxClaimsAgain(t *outboxT) {
	ids := t.Add(t.T, courseIn(0), 3)
	r := t.start("one")
	for range 3 {
		require.Equal(t, ids, r.claimIDs())
	}
	require.Equal(t, ids[:2], entryIDs(r.claim(2).Entries))
}

func outboxSettles(t *outboxT) {
	course := courseIn(0)
	ids := t.Add(t.T, course, 3)
	r := t.start("one")
	claimed := r.claim(1000).Entries
	r.settle(domain.Settlement{Published: claimed[1:2]})
	require.Equal(t, []uuid.UUID{ids[0], ids[2]}, r.claimIDs())
	r.settle(domain.Settlement{Published: claimed})
	require.Empty(t, r.claimIDs())
	r.settle(domain.Settlement{})
	stats, err := r.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats.Depth)
	require.NotNil(t, stats.LastProcessed)
	_, parked, err := r.NextDue(t.Context())
	require.NoError(t, err)
	require.False(t, parked)
}

func outboxSeesLater(t *outboxT) {
	course := courseIn(5)
	r := t.start("one")
	for range 20 { // with the cursor far on
		require.Empty(t, r.claimIDs())
		ids := t.Add(t.T, course, 1)
		claimed := r.claim(1000).Entries
		require.Equal(t, ids, entryIDs(claimed))
		r.settle(domain.Settlement{Published: claimed})
	}
}

func outboxParks(t *outboxT) {
	ids, others := t.Add(t.T, courseIn(1), 3), t.Add(t.T, courseIn(1), 2)
	r := t.start("one")
	claimed := r.claim(1000).Entries
	r.settle(domain.Settlement{Retry: []domain.FailedEntry{{Entry: claimed[1], Reason: "no", Delay: time.Hour}}})
	require.Equal(t, append([]uuid.UUID{ids[0]}, others...), r.claimIDs())
	due, parked, err := r.NextDue(t.Context())
	require.NoError(t, err)
	require.True(t, parked)
	require.Greater(t, due, 30*time.Minute)
}

// outboxMakesReady is about two relays: were one to make ready what is the
// other's, that one would not know, and find it at its next look.
func outboxMakesReady(t *outboxT) {
	one, two := t.start("one"), t.start("two")
	one.balance()
	two.balance()
	course := courseIn(int(one.lease.Partitions[0].Partition))
	ids := t.Add(t.T, course, 2)
	one.settle(domain.Settlement{Retry: []domain.FailedEntry{{Entry: one.claim(1).Entries[0], Reason: "not now"}}})
	require.Empty(t, two.claimIDs())
	_, parked, err := two.NextDue(t.Context())
	require.NoError(t, err)
	require.False(t, parked, "it is none of its business")
	due, parked, err := one.NextDue(t.Context())
	require.NoError(t, err)
	require.True(t, parked)
	require.LessOrEqual(t, due, time.Duration(0))
	require.Equal(t, ids, one.claimIDs())
}

// outboxBuries lets an entry come due at once besides: it is ready again
// behind a cursor that is past its old number.
func outboxBuries(t *outboxT) {
	ids := t.Add(t.T, courseIn(1), 3)
	r := t.start("one")
	claimed := r.claim(1000).Entries
	r.settle(domain.Settlement{
		Published: claimed[2:],
		Retry:     []domain.FailedEntry{{Entry: claimed[1], Reason: "no"}},
		Dead:      []domain.FailedEntry{{Entry: claimed[0], Reason: "never"}},
	})
	require.Equal(t, ids[1:2], r.claimIDs())
	again := r.claim(1).Entries[0]
	require.Equal(t, 1, again.Attempts)
	require.Equal(t, "no", again.LastError)
}

func outboxFences(t *outboxT) {
	course := courseIn(9)
	ids := t.Add(t.T, course, 3)
	frozen := t.start("frozen")
	claimed := frozen.claim(1000).Entries
	t.Expire(t.T, "frozen")
	next := t.start("next")
	require.Len(t, next.lease.Partitions, ports.OutboxPartitions)

	failed := func(e domain.OutboxEntry) []domain.FailedEntry {
		return []domain.FailedEntry{{Entry: e, Reason: "late"}}
	}
	frozen.settle(domain.Settlement{Published: claimed[:1], Retry: failed(claimed[1]), Dead: failed(claimed[2])})
	require.Empty(t, frozen.claimIDs(), "it may not claim any more")
	for _, id := range ids { // each alone: they are suspect
		alone := next.claim(1000).Entries
		require.Equal(t, []uuid.UUID{id}, entryIDs(alone), "the late settling changed something")
		require.Zero(t, alone[0].Attempts)
		next.settle(domain.Settlement{Published: alone})
	}
}

func outboxForgives(t *outboxT) {
	ids := t.Add(t.T, courseIn(9), 3)
	r := t.start("one")
	claimed := r.claim(1000).Entries
	t.Expire(t.T, "one") // and nobody wanted them
	before := r.lease
	r.balance()
	require.Equal(t, before, r.lease)
	require.Equal(t, ids, r.claimIDs(), "nothing is suspect")
	r.settle(domain.Settlement{Published: claimed})
	require.Empty(t, r.claimIDs())
}

func outboxStartsAnew(t *outboxT) {
	course := courseIn(63)
	one := t.start("one")
	two := t.relay("two")
	two.balance()
	require.Equal(t, 32, one.balance())
	require.Equal(t, 32, two.balance())
	owner, other := one, two
	if slices.ContainsFunc(two.lease.Partitions, func(p ports.LeasedPartition) bool { return p.Partition == 63 }) {
		owner, other = two, one
	}
	ids := t.Add(t.T, course, 2) // in a partition that the other doesn't look at
	late := t.Add(t.T, courseIn(int(other.lease.Partitions[0].Partition)), 2)
	for range 3 {
		claimed := other.claim(1000).Entries
		require.NotContains(t, entryIDs(claimed), ids[0])
		other.settle(domain.Settlement{Published: claimed})
	}
	require.NotEmpty(t, late)
	require.NoError(t, owner.GiveBack(t.Context(), owner.name))
	require.Equal(t, 64, other.balance())
	require.Equal(t, ids, other.claimIDs(), "they are behind its cursor")
}
