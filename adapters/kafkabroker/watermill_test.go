package kafkabroker_test

import (
	"context"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/stretchr/testify/require"

	"lectern/adapters/kafkabroker"
	"lectern/e2e/stack"
)

// Watermill's own suite. TestNewSubscriberReceivesOldMessages is below, and
// TestReconnect is TestWatermillReconnect, built without the race detector.
func TestWatermillSuite(t *testing.T) {
	b := openForWatermill(t)
	tests.TestPubSub(t, features(), func(t *testing.T) (message.Publisher, message.Subscriber) {
		t.Helper()
		return forWatermill(t, b, "group")
	}, func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		t.Helper()
		return forWatermill(t, b, group)
	})
}

// A group that comes later gets what is there; each subscriber here is of one
// of its own.
func TestWatermillOldMessages(t *testing.T) {
	b := openForWatermill(t)
	command := features()
	command.NewSubscriberReceivesOldMessages = true
	tests.TestNewSubscriberReceivesOldMessages(t, tests.TestContext{TestID: tests.NewTestID(), Features: command},
		func(t *testing.T) (message.Publisher, message.Subscriber) {
			t.Helper()
			pub, sub := forWatermill(t, b, watermill.NewShortUUID())
			return pub, preparing{sub.(subscriber)}
		})
}

func features() tests.Features {
	return tests.Features{
		ConsumerGroups:                      true,
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: true,
		Persistent:                          true,
	}
}

func openForWatermill(t *testing.T) *kafkabroker.Broker {
	t.Helper()
	return open(t, stack.Kafka(t), map[string]any{
		"concurrency":     1, // TestNoAck wants one message at a time
		"partitions":      1, // its messages have no subjects to be ordered by
		"lease":           "2s",
		"retry_delay":     "1ms",
		"retry_delay_max": "10ms",
		"close_timeout":   "100ms",
	})
}

func forWatermill(t *testing.T, b *kafkabroker.Broker, group string) (message.Publisher, message.Subscriber) {
	t.Helper()
	sub, err := b.Subscriber(group)
	require.NoError(t, err)
	return publisher{b}, subscriber{sub, b, group}
}

// publisher leaves the broker open, which the suite's tests share.
type publisher struct{ message.Publisher }

func (publisher) Close() error { return nil }

// subscriber prepares the topics that the suite thinks up.
type subscriber struct {
	message.Subscriber
	broker *kafkabroker.Broker
	group  string
}

func (s subscriber) SubscribeInitialize(topic string) error {
	return s.broker.Prepare(context.Background(), []string{topic}, []string{s.group})
}

// preparing prepares what it subscribes to.
type preparing struct{ subscriber }

func (p preparing) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if err := p.broker.Prepare(ctx, []string{topic}, []string{p.group}); err != nil {
		return nil, err
	}
	return p.subscriber.Subscribe(ctx, topic)
}
