package kafkabroker

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// balancer spreads a topic's partitions evenly over a group's members, moves as
// few as it can, and of these rather such as nothing is in hand of: partitions
// that move wait for their handlers, all for the slowest. That is what the
// library's own cooperative balancer can't know.
type balancer struct {
	busy func() []int32 // of our partitions, those with messages in hand
}

var _ kgo.GroupBalancer = balancer{}

// ProtocolName implements kgo.GroupBalancer.
func (balancer) ProtocolName() string { return "lectern" }

// IsCooperative implements kgo.GroupBalancer.
func (balancer) IsCooperative() bool { return true }

// JoinGroupMetadata implements kgo.GroupBalancer.
func (b balancer) JoinGroupMetadata(topics []string, owned map[string][]int32, generation int32) []byte {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version = 3
	meta.Topics = topics
	meta.Generation = generation
	for _, topic := range topics {
		if len(owned[topic]) > 0 {
			meta.OwnedPartitions = append(meta.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: topic, Partitions: owned[topic]})
		}
	}
	meta.UserData, _ = json.Marshal(b.busy()) // numbers can't fail
	return meta.AppendTo(nil)
}

// ParseSyncAssignment implements kgo.GroupBalancer.
func (balancer) ParseSyncAssignment(assignment []byte) (map[string][]int32, error) {
	return kgo.ParseConsumerSyncAssignment(assignment)
}

// MemberBalancer implements kgo.GroupBalancer.
func (b balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	group, err := kgo.NewConsumerBalancer(b, members)
	return group, group.MemberTopics(), err
}

// Balance implements kgo.ConsumerBalancerBalance. A partition that moves is left
// out of the plan until its owner has given it up: then there is another balance.
func (balancer) Balance(group *kgo.ConsumerBalancer, topics map[string]int32) kgo.IntoSyncAssignment {
	plan := group.NewPlan()
	for topic, partitions := range topics {
		for _, m := range balance(membersOf(group, topic), partitions) {
			for _, partition := range m.owned {
				plan.AddPartition(m.joined, topic, partition)
			}
		}
	}
	plan.AdjustCooperative(group)
	return plan
}

// member is one of a group, with what it has of a topic.
type member struct {
	joined     *kmsg.JoinGroupResponseMember
	generation int32
	owned      []int32
	busy       []int32
}

func membersOf(group *kgo.ConsumerBalancer, topic string) []*member {
	var members []*member
	group.EachMember(func(joined *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		m := &member{joined: joined, generation: meta.Generation}
		_ = json.Unmarshal(meta.UserData, &m.busy) // none, at worst
		for _, owned := range meta.OwnedPartitions {
			if owned.Topic == topic {
				m.owned = append(m.owned, owned.Partitions...)
			}
		}
		members = append(members, m)
	})
	return members
}

// balance changes what the members own so that all partitions are, evenly.
func balance(members []*member, partitions int32) []*member {
	free := settleClaims(members, partitions)
	// Who has most may have the one more that is left over.
	slices.SortStableFunc(members, func(a, b *member) int { return cmp.Compare(len(b.owned), len(a.owned)) })
	each, over := int(partitions)/len(members), int(partitions)%len(members)
	quota := func(i int) int {
		if i < over {
			return each + 1
		}
		return each
	}
	for i, m := range members {
		slices.SortFunc(m.owned, func(a, b int32) int {
			return cmp.Or(-compareBools(slices.Contains(m.busy, a), slices.Contains(m.busy, b)), cmp.Compare(a, b))
		})
		keep := min(len(m.owned), quota(i))
		free = append(free, m.owned[keep:]...)
		m.owned = m.owned[:keep]
	}
	slices.Sort(free)
	for i, m := range members {
		take := quota(i) - len(m.owned)
		m.owned = append(m.owned, free[:take]...)
		free = free[take:]
	}
	return members
}

// settleClaims leaves each partition to the one whose claim is of the latest
// generation, and returns those that nobody claims.
func settleClaims(members []*member, partitions int32) (free []int32) {
	claims := make([]*member, partitions)
	for _, m := range members {
		for _, partition := range m.owned {
			if partition < partitions && (claims[partition] == nil || m.generation > claims[partition].generation) {
				claims[partition] = m
			}
		}
		m.owned = nil
	}
	for partition, m := range claims {
		if m == nil {
			free = append(free, int32(partition)) //nolint:gosec // it counts int32s
			continue
		}
		m.owned = append(m.owned, int32(partition)) //nolint:gosec // as above
	}
	return free
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
