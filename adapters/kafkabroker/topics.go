package kafkabroker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"lectern/ports"
)

// Topics implements ports.Broker. What a group has yet to settle is what follows
// the first message that it has not, as of the last commit: some of that may be
// settled already.
func (b *Broker) Topics(ctx context.Context, topics, groups []string) ([]ports.TopicState, error) {
	states, err := b.topics(ctx, topics, groups)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return states, nil
}

func (b *Broker) topics(ctx context.Context, topics, groups []string) ([]ports.TopicState, error) {
	if b.isClosed() {
		return nil, errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	states := make([]ports.TopicState, 0, len(topics))
	for _, topic := range topics {
		state, err := b.topic(ctx, topic, groups)
		if err != nil {
			return nil, fmt.Errorf("topic %q: %w", topic, err)
		}
		states = append(states, state)
	}
	return states, nil
}

func (b *Broker) topic(ctx context.Context, topic string, groups []string) (ports.TopicState, error) {
	name := b.opts.topicName(topic)
	state := ports.TopicState{Topic: topic, Detail: name}
	missing, err := b.missing(ctx, []string{name})
	if err != nil {
		return state, err
	}
	var ends kadm.ListedOffsets
	if state.Exists = len(missing) == 0; state.Exists {
		found, err := b.admin.ListTopics(ctx, name)
		if err != nil {
			return state, err
		}
		partitions := found[name].Partitions
		state.Detail = fmt.Sprintf("%s: %d partitions, %d replicas", name, len(partitions), partitions.NumReplicas())
		if ends, err = b.admin.ListEndOffsets(ctx, name); err != nil {
			return state, err
		}
	}
	for _, group := range groups {
		g := ports.GroupState{Group: group}
		committed, err := b.committed(ctx, b.opts.groupName(group, topic), name)
		if err != nil {
			return state, err
		}
		if g.Exists = state.Exists && len(committed) > 0; g.Exists {
			for partition, end := range ends[name] {
				g.Pending += end.Offset - committed[partition]
			}
		}
		state.Groups = append(state.Groups, g)
	}
	return state, nil
}
