package natsbroker_test

import (
	"context"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/stretchr/testify/require"

	"lectern/adapters/natsbroker"
	"lectern/e2e/stack"
)

// Watermill's own suite. It skips TestNewSubscriberReceivesOldMessages (a topic
// keeps nothing for groups to come). TestReconnect is TestWatermillReconnect, built
// without the race detector.
func TestWatermillSuite(t *testing.T) {
	b := open(t, stack.NATS(t), map[string]any{
		"concurrency":     1, // TestNoAck wants one message at a time
		"retry_delay":     "1ms",
		"retry_delay_max": "10ms",
		"close_timeout":   "100ms",
	})
	group := func(t *testing.T, name string) (message.Publisher, message.Subscriber) {
		t.Helper()
		sub, err := b.Subscriber(name)
		require.NoError(t, err)
		return publisher{b}, subscriber{sub, b, name}
	}
	features := tests.Features{
		ConsumerGroups:                      true,
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: true,
		Persistent:                          true,
	}
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
		t.Helper()
		return group(t, "group")
	}, group)
}

// publisher leaves the broker open, which the suite's tests share.
type publisher struct{ message.Publisher }

func (publisher) Close() error { return nil }

// subscriber prepares the topics that the suite thinks up.
type subscriber struct {
	message.Subscriber
	broker *natsbroker.Broker
	group  string
}

func (s subscriber) SubscribeInitialize(topic string) error {
	return s.broker.Prepare(context.Background(), []string{topic}, []string{s.group})
}
