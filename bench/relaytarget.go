package main

import (
	"context"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	stockkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/redis/go-redis/v9"

	"lectern/ports"
)

// target is where a relay publishes to.
type target struct {
	name   string
	broker func() ports.Broker
	topic  func(context.Context) (string, error) // a new one
	drop   func(ctx context.Context, topic string) error
	// stock is Watermill's own publisher for the same server, and what the server
	// calls a topic.
	stock   func() (message.Publisher, error)
	called  func(topic string) string
	address func() string // of the server
}

func (r *relays) toKafka() target {
	return target{
		name:    "Kafka",
		broker:  func() ports.Broker { return r.kafka.broker },
		topic:   r.kafka.topic,
		drop:    func(context.Context, string) error { return nil }, // they are deleted in the end
		stock:   r.kafka.stockPublisher,
		called:  func(topic string) string { return r.kafka.prefix + topic },
		address: func() string { return r.kafka.addresses[0] },
	}
}

func (r *relays) toRedis() target {
	return target{
		name:    "Redis",
		broker:  func() ports.Broker { return r.redis.broker },
		topic:   r.redis.topic,
		drop:    r.redis.deleteTopic,
		stock:   r.redis.stockPublisher,
		called:  func(topic string) string { return r.redis.prefix + topic },
		address: func() string { return r.redis.client.Options().Addr },
	}
}

// stockPublisher is watermill-kafka's, with its own defaults but for what this
// bench is about: acks=all, where sarama's default is the leader's alone
// (sarama.Config.Producer.RequiredAcks), and the course as the record's key, as
// its README has it for ordered messages (NewWithPartitioningMarshaler).
func (k *kafka) stockPublisher() (message.Publisher, error) {
	config := stockkafka.DefaultSaramaSyncPublisherConfig()
	config.Producer.RequiredAcks = sarama.WaitForAll
	return stockkafka.NewPublisher(stockkafka.PublisherConfig{
		Brokers: k.addresses, OverwriteSaramaConfig: config,
		Marshaler: stockkafka.NewWithPartitioningMarshaler(func(_ string, msg *message.Message) (string, error) {
			return msg.Metadata.Get(ports.MetaSubject), nil
		}),
	}, watermill.NopLogger{})
}

// stockPublisher is watermill-redisstream's, which has nothing to tune. Its client
// is its own: it closes it.
func (r *redisServer) stockPublisher() (message.Publisher, error) {
	return redisstream.NewPublisher(redisstream.PublisherConfig{Client: redis.NewClient(r.client.Options())}, watermill.NopLogger{})
}

// sink is a broker that accepts everything at once, and keeps nothing.
type sink struct{ ports.Broker }

// Publish implements ports.Broker.
func (sink) Publish(string, ...*message.Message) error { return nil }

func toNowhere() target {
	return target{
		name:   "nowhere",
		broker: func() ports.Broker { return sink{} },
		topic:  func(context.Context) (string, error) { return "nowhere", nil },
		drop:   func(context.Context, string) error { return nil },
	}
}
