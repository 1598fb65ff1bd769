package main

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"lectern/bench/compare"
)

// redisBacklog is how many messages a consumer finds.
const redisBacklog = 10_000

func (r *redisServer) consume() compare.Bench {
	var meter compare.Meter
	return compare.Bench{
		Name:    "consume from Redis",
		Against: "XREADGROUP COUNT 100 with pipelined XACK",
		Goal:    compare.AtLeast(0.3),
		Measure: meter.Rate("messages/s"),
		Ops:     1,
		Ours: r.ofTopics(func(ctx context.Context, topic string) error {
			return consumeBacklog(ctx, &meter, r.broker, topic, redisBacklog)
		}),
		Peer: r.ofTopics(func(ctx context.Context, topic string) error {
			if err := fill(r.broker, topic, redisBacklog); err != nil {
				return err
			}
			return meter.Time(redisBacklog, func() error { return r.read(ctx, topic) })
		}),
	}
}

// ofTopics consumes a topic of its own in each operation: the adapter trims one
// while it consumes it, and the peer does not.
func (r *redisServer) ofTopics(consume func(ctx context.Context, topic string) error) compare.Side {
	return func(context.Context, int) (compare.Op, error) {
		return func(ctx context.Context, _ int) error {
			topic, err := r.topic(ctx)
			if err != nil {
				return err
			}
			if err := consume(ctx, topic); err != nil {
				return err
			}
			return r.deleteTopic(ctx, topic)
		}, nil
	}
}

// read consumes a topic's backlog.
func (r *redisServer) read(ctx context.Context, topic string) error {
	stream := r.prefix + topic
	for n := 0; n < redisBacklog; {
		streams, err := r.client.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: group, Consumer: "peer", Streams: []string{stream, ">"}, Count: 100,
		}).Result()
		if err != nil {
			return fmt.Errorf("read stream: %w", err)
		}
		if _, err := r.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, m := range streams[0].Messages {
				pipe.XAck(ctx, stream, group, m.ID)
			}
			return nil
		}); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
		n += len(streams[0].Messages)
	}
	return nil
}

// add publishes a pipeline of entries.
func (r *redisServer) add(ctx context.Context, topic string, entries [][]any) error {
	_, err := r.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, values := range entries {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: r.prefix + topic, Values: values})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add to stream: %w", err)
	}
	return nil
}

// fields are an entry's as the adapter writes them, in the order that is best
// for Redis.
func fields(m *message.Message) ([]any, error) {
	values, err := redisstream.DefaultMarshallerUnmarshaller{}.Marshal("", m)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return []any{redisstream.UUIDHeaderKey, m.UUID, "metadata", values["metadata"], "payload", values["payload"]}, nil
}
