package postgresbroker_test

import (
	"context"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgresbroker"
	"lectern/e2e/stack"
)

// Watermill's own suite. It skips TestNewSubscriberReceivesOldMessages: a topic
// keeps nothing for groups to come, for who should know when to delete it?
// TestReconnect is TestWatermillReconnect, built without the race detector.
func TestWatermillSuite(t *testing.T) {
	b := openForWatermill(t, stack.Database(t, "lectern_broker").Broker)
	features := tests.Features{
		ConsumerGroups:                      true,
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: true,
		Persistent:                          true,
	}
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
		t.Helper()
		return forWatermill(t, b, "group")
	}, func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		t.Helper()
		return forWatermill(t, b, group)
	})
}

func openForWatermill(t *testing.T, dsn string) *postgresbroker.Broker {
	t.Helper()
	return open(t, dsn, map[string]any{
		"concurrency":     1, // TestNoAck wants one message at a time
		"lease":           "1s",
		"retry_delay":     "1ms",
		"retry_delay_max": "10ms",
		"close_timeout":   "100ms",
	})
}

func forWatermill(t *testing.T, b *postgresbroker.Broker, group string) (message.Publisher, message.Subscriber) {
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
	broker *postgresbroker.Broker
	group  string
}

func (s subscriber) SubscribeInitialize(topic string) error {
	return s.broker.Prepare(context.Background(), []string{topic}, []string{s.group})
}
