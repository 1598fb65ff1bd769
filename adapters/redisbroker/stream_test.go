package redisbroker_test

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/adapters/redisbroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

// stream is a prepared broker, and its stream as an outsider sees it.
type stream struct {
	*redisbroker.Broker
	outside *redis.Client
	address string
}

func newStream(t *testing.T, raw map[string]any) stream {
	t.Helper()
	address := stack.Redis(t)
	b := open(t, address, raw)
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	return stream{b, admin(t, address), address}
}

func (s stream) publish(t *testing.T, n int) []*message.Message {
	t.Helper()
	msgs := jobs(n)
	require.NoError(t, s.Publish("topic", msgs...))
	return msgs
}

func (s stream) deadLetters(t *testing.T) <-chan *message.Message {
	t.Helper()
	sub, err := s.Subscriber(ports.GroupDead)
	require.NoError(t, err)
	msgs, err := sub.Subscribe(context.WithoutCancel(t.Context()), ports.DeadTopic("topic"))
	require.NoError(t, err)
	return msgs
}

// pending returns what the group has pending, by consumer; "" for all.
func (s stream) pending(t *testing.T, consumer string) []redis.XPendingExt {
	t.Helper()
	pending, err := s.outside.XPendingExt(t.Context(), &redis.XPendingExtArgs{
		Stream: prefix + "topic", Group: "group", Start: "-", End: "+", Count: 1000, Consumer: consumer,
	}).Result()
	require.NoError(t, err)
	return pending
}

// take reads n entries as another consumer, that then does nothing.
func (s stream) take(t *testing.T, consumer string, n int) []redis.XMessage {
	t.Helper()
	got, err := s.outside.XReadGroup(t.Context(), &redis.XReadGroupArgs{
		Group: "group", Consumer: consumer, Streams: []string{prefix + "topic", ">"}, Count: int64(n), Block: -1,
	}).Result()
	require.NoError(t, err)
	require.Len(t, got[0].Messages, n)
	return got[0].Messages
}

func (s stream) consumers(t *testing.T) []string {
	t.Helper()
	infos, err := s.outside.XInfoConsumers(t.Context(), prefix+"topic", "group").Result()
	require.NoError(t, err)
	var names []string
	for _, c := range infos {
		names = append(names, c.Name)
	}
	return names
}

func receive(t *testing.T, msgs <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, open := <-msgs:
		require.True(t, open, "the channel closed")
		return m
	case <-time.After(patience):
	}
	require.FailNow(t, "no message came")
	return nil
}
