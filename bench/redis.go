package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"lectern/adapters/redisbroker"
	"lectern/bench/compare"
	"lectern/ports"
)

// redisServer is the Redis of with-stack. The peer is the client library that the
// adapter is built on, without the adapter.
type redisServer struct {
	log    *slog.Logger
	prefix string // of all streams, which are deleted as soon as they have served
	broker *redisbroker.Broker
	client *redis.Client // the peer's
	topics int
}

func (r *redisServer) benches() []compare.Trial {
	return []compare.Trial{r.consume(), r.publish()}
}

func (r *redisServer) publish() compare.Bench {
	var meter compare.Meter
	var ours, peers string
	msgs := jobs(batch)
	return compare.Bench{
		Name:    fmt.Sprintf("publish to Redis in batches of %d", batch),
		Against: "go-redis' pipelined XADD of the same fields",
		Goal:    compare.AtLeast(0.8),
		Measure: meter.Rate("messages/s"),
		Ops:     20,
		Ours: func(ctx context.Context, _ int) (_ compare.Op, err error) {
			ours, err = r.replaceTopic(ctx, ours)
			return publishBatches(&meter, r.broker, ours, msgs), err
		},
		Peer: func(ctx context.Context, _ int) (_ compare.Op, err error) {
			if peers, err = r.replaceTopic(ctx, peers); err != nil {
				return nil, err
			}
			return r.addBatches(&meter, peers, msgs)
		},
	}
}

func (r *redisServer) addBatches(meter *compare.Meter, topic string, msgs []*message.Message) (compare.Op, error) {
	entries := make([][]any, len(msgs))
	for i, m := range msgs {
		var err error
		if entries[i], err = fields(m); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, _ int) error {
		return meter.Time(len(entries), func() error { return r.add(ctx, topic, entries) })
	}, nil
}

// topic returns a new one that the group consumes.
func (r *redisServer) topic(ctx context.Context) (string, error) {
	r.topics++
	topic := fmt.Sprintf("topic-%d", r.topics)
	return topic, r.broker.Prepare(ctx, []string{topic}, []string{group})
}

// replaceTopic deletes one, if it has a name, and returns another.
func (r *redisServer) replaceTopic(ctx context.Context, old string) (string, error) {
	if old != "" {
		if err := r.deleteTopic(ctx, old); err != nil {
			return "", err
		}
	}
	return r.topic(ctx)
}

func (r *redisServer) deleteTopic(ctx context.Context, topic string) error {
	if err := r.client.Del(ctx, r.prefix+topic, r.prefix+ports.DeadTopic(topic)).Err(); err != nil {
		return fmt.Errorf("delete topic: %w", err)
	}
	return nil
}

func (r *redisServer) start(ctx context.Context) error {
	given, err := address("LECTERN_TEST_REDIS")
	if err != nil {
		return err
	}
	options, err := redis.ParseURL(given)
	if err != nil {
		return fmt.Errorf("read address of Redis: %w", err)
	}
	r.prefix = "bench-" + uuid.NewString() + ":"
	opts, err := redisbroker.DecodeOptions(map[string]any{
		"addresses": []string{options.Addr}, "db": options.DB, "topic_prefix": r.prefix,
	})
	if err != nil {
		return err
	}
	options.Protocol, options.PipelinePoolSize = 2, -1 // as the adapter's
	r.client = redis.NewClient(options)
	r.broker, err = redisbroker.New(ctx, opts, r.log)
	return err
}

func (*redisServer) settle(context.Context) error { return nil }

func (r *redisServer) settings(ctx context.Context) ([]string, error) {
	info, err := r.client.InfoMap(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("ask Redis for its version: %w", err)
	}
	return []string{"Redis " + info["Server"]["redis_version"] + ", aof_enabled " + info["Persistence"]["aof_enabled"]}, nil
}

// stop works for what has started in part, too.
func (r *redisServer) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var err error
	if r.broker != nil {
		err = r.broker.Close()
	}
	if r.client != nil {
		err = errors.Join(err, r.deleteTopics(ctx), r.client.Close())
	}
	return err
}

// deleteTopics deletes those of the prefix that are left.
func (r *redisServer) deleteTopics(ctx context.Context) error {
	var errs []error
	keys := r.client.Scan(ctx, 0, r.prefix+"*", 0).Iterator()
	for keys.Next(ctx) {
		errs = append(errs, r.client.Del(ctx, keys.Val()).Err())
	}
	return errors.Join(append(errs, keys.Err())...)
}
