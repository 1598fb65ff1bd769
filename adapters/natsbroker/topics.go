package natsbroker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"lectern/ports"
)

// Topics implements ports.Broker.
func (b *Broker) Topics(ctx context.Context, topics, groups []string) ([]ports.TopicState, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	states := make([]ports.TopicState, 0, len(topics))
	for _, topic := range topics {
		state, err := b.topic(ctx, topic, groups)
		if err != nil {
			return nil, fmt.Errorf("look up topic %q: %w", topic, b.unreached(err))
		}
		states = append(states, state)
	}
	return states, nil
}

func (b *Broker) topic(ctx context.Context, topic string, groups []string) (ports.TopicState, error) {
	at, err := b.opts.place(topic)
	if err != nil {
		return ports.TopicState{}, err
	}
	state := ports.TopicState{Topic: topic, Detail: fmt.Sprintf("stream %s", at.stream)}
	stream, err := b.js.Stream(ctx, at.stream)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return state, err
	}
	if err == nil {
		info := stream.CachedInfo()
		state.Exists = true
		state.Detail = fmt.Sprintf("stream %s of %v: %d messages, replicas: %d", at.stream, info.Config.Subjects, info.State.Msgs, info.Config.Replicas)
	}
	for _, group := range groups {
		g := ports.GroupState{Group: group}
		if state.Exists {
			if g, err = b.groupState(ctx, stream, group); err != nil {
				return state, err
			}
		}
		state.Groups = append(state.Groups, g)
	}
	return state, nil
}

func (b *Broker) groupState(ctx context.Context, stream jetstream.Stream, group string) (ports.GroupState, error) {
	state := ports.GroupState{Group: group}
	name, err := b.opts.durable(group)
	if err != nil {
		return state, err
	}
	durable, err := stream.Consumer(ctx, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return state, nil
	}
	if err != nil {
		return state, fmt.Errorf("look up group %q: %w", group, err)
	}
	info := durable.CachedInfo()
	state.Exists = true
	state.Pending = int64(info.NumPending) + int64(info.NumAckPending) //nolint:gosec // a count
	return state, nil
}
