package redisbroker_test

import (
	"context"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/stretchr/testify/require"

	"lectern/adapters/redisbroker"
	"lectern/e2e/stack"
)

// Watermill's own suite. It skips TestNewSubscriberReceivesOldMessages: a topic
// keeps nothing for groups to come, for who should know when to delete it?
// TestReconnect is below, with a server that may be restarted.
func TestWatermillSuite(t *testing.T) {
	b := openForWatermill(t, stack.Redis(t), 1) // TestNoAck wants one message at a time
	tests.TestPubSub(t, features(), func(t *testing.T) (message.Publisher, message.Subscriber) {
		t.Helper()
		return forWatermill(t, b, "group")
	}, func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		t.Helper()
		return forWatermill(t, b, group)
	})
}

// The command that restarts the server only asks us to do so.
func TestWatermillReconnect(t *testing.T) {
	server := stack.StartDurableRedis(t)
	b := openForWatermill(t, server.Address(), 16)
	asked := make(chan os.Signal, 8)
	signal.Notify(asked, syscall.SIGUSR1)
	restarts := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range asked {
			server.Stop()
			server.Start()
			restarts++
		}
	}()

	command := features()
	command.RestartServiceCommand = []string{"kill", "-USR1", strconv.Itoa(os.Getpid())}
	tests.TestReconnect(t, tests.TestContext{TestID: tests.NewTestID(), Features: command},
		func(t *testing.T) (message.Publisher, message.Subscriber) {
			t.Helper()
			return forWatermill(t, b, "group")
		})
	signal.Stop(asked)
	close(asked)
	<-done
	require.Equal(t, 2, restarts)
}

func features() tests.Features {
	return tests.Features{
		ConsumerGroups:                      true,
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: true,
		Persistent:                          true,
	}
}

func openForWatermill(t *testing.T, address string, concurrency int) *redisbroker.Broker {
	t.Helper()
	return open(t, address, map[string]any{
		"concurrency":     concurrency,
		"lease":           "1s",
		"retry_delay":     "1ms",
		"retry_delay_max": "10ms",
		"close_timeout":   "100ms",
	})
}

func forWatermill(t *testing.T, b *redisbroker.Broker, group string) (message.Publisher, message.Subscriber) {
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
	broker *redisbroker.Broker
	group  string
}

func (s subscriber) SubscribeInitialize(topic string) error {
	return s.broker.Prepare(context.Background(), []string{topic}, []string{s.group})
}
