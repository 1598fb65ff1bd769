package main

import (
	"context"
	"fmt"

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
		Ours: k.ofTopic(func(ctx context.Context, topic string) error {
			return consumeBacklog(ctx, &meter, k.broker, topic, kafkaBacklog)
		}),
		Peer: k.ofTopic(func(ctx context.Context, topic string) error {
			return k.poll(ctx, &meter, topic)
		}),
	}
}

func (k *kafka) ofTopic(consume func(ctx context.Context, topic string) error) compare.Side {
	return func(ctx context.Context, _ int) (compare.Op, error) {
		topic, err := k.topic(ctx)
		return func(ctx context.Context, _ int) error { return consume(ctx, topic) }, err
	}
}

// poll consumes a backlog as consumeBacklog does. What was fetched before the
// clock starts does not count.
func (k *kafka) poll(ctx context.Context, meter *compare.Meter, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.ConsumerGroup(k.prefix+"peer"),
		kgo.ConsumeTopics(k.prefix+topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return fmt.Errorf("make Kafka client: %w", err)
	}
	defer client.Close()
	fetched := 0
	for _, n := range []int{1, kafkaBacklog} { // who has the one has joined
		if err := fill(k.broker, topic, n); err != nil {
			return err
		}
		if fetched, err = pollSome(ctx, client, 1); err != nil {
			return err
		}
	}
	left := kafkaBacklog - fetched
	if err := meter.Time(left, func() error { _, err := pollSome(ctx, client, left); return err }); err != nil {
		return err
	}
	if err := client.CommitUncommittedOffsets(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
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
