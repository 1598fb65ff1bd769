package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/bench/compare"
)

func (k *kafka) consume() compare.Bench {
	var meter compare.Meter
	return compare.Bench{
		Name:    "consume from Kafka",
		Against: "a franz-go poll loop of a group",
		Goal:    compare.AtLeast(0.2),
		Measure: meter.Rate("messages/s"),
		Ops:     1,
		Ours: func(ctx context.Context, ops int) (compare.Op, error) {
			groups, err := k.groups(ctx, ops)
			return func(ctx context.Context, i int) error {
				return consumeBacklog(ctx, &meter, k.broker, groups[i], k.backlog, kafkaBacklog)
			}, err
		},
		Peer: func(context.Context, int) (compare.Op, error) {
			return func(ctx context.Context, _ int) error { return k.poll(ctx, &meter) }, nil
		},
	}
}

// groups returns n that have the whole backlog before them.
func (k *kafka) groups(ctx context.Context, n int) ([]string, error) {
	if k.backlog == "" {
		topic, err := k.topic(ctx) // which has a message of each side
		if err != nil {
			return nil, err
		}
		if err := k.produce(ctx, topic, kafkaBacklog-2); err != nil {
			return nil, err
		}
		k.backlog = topic
	}
	groups := make([]string, n)
	for i := range groups {
		groups[i] = k.prefix + uuid.NewString()
	}
	return groups, k.broker.Prepare(ctx, []string{k.backlog}, groups)
}

// poll consumes the backlog and commits in the end. What the first fetch brings
// does not count, as the time until then does not.
func (k *kafka) poll(ctx context.Context, meter *compare.Meter) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.ConsumerGroup(k.prefix+uuid.NewString()),
		kgo.ConsumeTopics(k.prefix+k.backlog), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return fmt.Errorf("make Kafka client: %w", err)
	}
	defer client.Close()
	first, err := pollSome(ctx, client, 1)
	if err != nil {
		return err
	}
	return meter.Time(kafkaBacklog-first, func() error {
		if _, err := pollSome(ctx, client, kafkaBacklog-first); err != nil {
			return err
		}
		return client.CommitUncommittedOffsets(ctx)
	})
}

// pollSome polls until it has n records or more.
func pollSome(ctx context.Context, client *kgo.Client, n int) (polled int, err error) {
	for polled < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return polled, fmt.Errorf("poll: %w", err)
		}
		polled += fetches.NumRecords()
	}
	return polled, nil
}
