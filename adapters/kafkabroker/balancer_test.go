package kafkabroker_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/adapters/kafkabroker"
)

func TestPartitionsOfWhichNothingIsInHandMove(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string][]int32{"old": {1, 4, 5}, "new": {0, 2, 3}}, kafkabroker.Balance(6,
		kafkabroker.Member{Name: "new"},
		kafkabroker.Member{Name: "old", Owned: []int32{0, 1, 2, 3, 4, 5}, Busy: []int32{1, 4, 5}},
	))
}

func TestTheLatestClaimOfAPartitionCounts(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string][]int32{"stale": {1}, "current": {0}}, kafkabroker.Balance(2,
		kafkabroker.Member{Name: "stale", Generation: 1, Owned: []int32{0, 1}},
		kafkabroker.Member{Name: "current", Generation: 2, Owned: []int32{0}},
	))
}

func TestPartitionsAreSpreadEvenlyAndMoveNoMoreThanNeeded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		partitions := rapid.Int32Range(1, 20).Draw(t, "partitions")
		members := make([]kafkabroker.Member, rapid.IntRange(1, 8).Draw(t, "members"))
		for i := range members {
			members[i].Name = strconv.Itoa(i)
		}
		for p := range partitions {
			if owner := rapid.IntRange(-1, len(members)-1).Draw(t, "owner"); owner >= 0 {
				members[owner].Owned = append(members[owner].Owned, p)
				if rapid.Bool().Draw(t, "busy") {
					members[owner].Busy = append(members[owner].Busy, p)
				}
			}
		}
		before := make(map[string][]int32, len(members))
		for _, m := range members {
			before[m.Name] = slices.Clone(m.Owned)
		}

		after := kafkabroker.Balance(partitions, members...)

		var all []int32
		each := int(partitions) / len(members)
		for name, owned := range after {
			all = append(all, owned...)
			require.GreaterOrEqual(t, len(owned), each)
			require.LessOrEqual(t, len(owned), each+1)
			kept := slices.DeleteFunc(slices.Clone(before[name]), func(p int32) bool { return !slices.Contains(owned, p) })
			require.GreaterOrEqual(t, len(kept), min(len(before[name]), each), "%s gave up more than it had to", name)
		}
		slices.Sort(all)
		require.Len(t, slices.Compact(all), int(partitions), "each is one member's")
	})
}
