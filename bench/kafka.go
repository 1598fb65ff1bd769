package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/adapters/kafkabroker"
	"lectern/bench/compare"
)

// kafka is the Kafka of with-stack. The peer is the library that the adapter is
// built on, without the adapter.
type kafka struct {
	log       *slog.Logger
	addresses []string
	prefix    string // of all topics, which are deleted in the end
	topics    int
	broker    *kafkabroker.Broker
	client    *kgo.Client // the peer's, for all but consuming
}

// kafkaBacklog is how many messages a consumer finds.
const kafkaBacklog = 20_000

func (k *kafka) benches() []compare.Trial {
	return []compare.Trial{k.consume(), k.publish()}
}

func (k *kafka) publish() compare.Bench {
	var meter compare.Meter
	msgs := jobs(batch)
	return compare.Bench{
		Name:    fmt.Sprintf("publish to Kafka in batches of %d", batch),
		Against: "franz-go's ProduceSync of the same records",
		Goal:    compare.AtLeast(0.8),
		Measure: meter.Rate("messages/s"),
		Ops:     20,
		Ours: func(ctx context.Context, _ int) (compare.Op, error) {
			topic, err := k.topic(ctx)
			return publishBatches(&meter, k.broker, topic, msgs), err
		},
		Peer: func(ctx context.Context, _ int) (compare.Op, error) {
			topic, err := k.topic(ctx)
			return k.produceBatches(&meter, topic, msgs), err
		},
	}
}

func (k *kafka) produceBatches(meter *compare.Meter, topic string, msgs []*message.Message) compare.Op {
	return func(ctx context.Context, _ int) error {
		rs := records(k.prefix+topic, msgs)
		return meter.Time(len(rs), func() error { return k.client.ProduceSync(ctx, rs...).FirstErr() })
	}
}

func (k *kafka) start(ctx context.Context) error {
	given, err := address("LECTERN_TEST_KAFKA")
	if err != nil {
		return err
	}
	k.addresses = strings.Split(given, ",")
	k.prefix = "bench-" + uuid.NewString() + "."
	if k.client, err = kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.ProducerLinger(0)); err != nil {
		return fmt.Errorf("make Kafka client: %w", err)
	}
	opts, err := kafkabroker.DecodeOptions(map[string]any{"addresses": k.addresses, "topic_prefix": k.prefix})
	if err != nil {
		return err
	}
	k.broker, err = kafkabroker.New(ctx, opts, k.log)
	return err
}

func (*kafka) settle(context.Context) error { return nil }

func (k *kafka) settings(ctx context.Context) ([]string, error) {
	versions, err := kadm.NewClient(k.client).ApiVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask Kafka for its version: %w", err)
	}
	for _, broker := range versions {
		return []string{fmt.Sprintf("Kafka %s, brokers %d", broker.VersionGuess(), len(versions))}, broker.Err
	}
	return nil, errors.New("ask Kafka for its version: it has no brokers")
}

// stop works for what has started in part, too.
func (k *kafka) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var err error
	if k.broker != nil {
		err = k.broker.Close()
	}
	if k.client != nil {
		err = errors.Join(err, k.deleteTopics(ctx))
		k.client.Close()
	}
	return err
}
