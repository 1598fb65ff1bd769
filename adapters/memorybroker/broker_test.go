package memorybroker_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/adapters/memorybroker"
	"lectern/ports"
)

func testLogger(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func TestOptionsAreDecodedStrictly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		raw  map[string]any
		says []string
	}{
		"unknown keys": {
			raw: map[string]any{"concurency": 2, "dsn": "x"},
			says: []string{"unknown: concurency, dsn", "allowed: concurrency, max_message_bytes, max_pending, retry_delay, " +
				"retry_delay_max, max_deliveries, close_timeout"},
		},
		"a wrong type": {raw: map[string]any{"concurrency": "many"}, says: []string{"concurrency"}},
		"no unit":      {raw: map[string]any{"retry_delay": 5}, says: []string{"retry_delay: must be a time with its unit"}},
		"several problems": {
			raw:  map[string]any{"concurrency": 0, "max_pending": -1, "max_deliveries": -1},
			says: []string{"concurrency must", "max_pending must", "max_deliveries must"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := memorybroker.DecodeOptions(tc.raw)
			for _, part := range tc.says {
				require.ErrorContains(t, err, part)
			}
		})
	}
	opts, err := memorybroker.DecodeOptions(map[string]any{"concurrency": "7", "retry_delay": "2s"})
	require.NoError(t, err)
	require.Equal(t, 7, opts.Concurrency)
	require.Equal(t, 2*time.Second, opts.RetryDelay)
	require.Equal(t, time.Minute, opts.RetryDelayMax, "by default")
	require.Equal(t, 100, opts.MaxDeliveries, "by default")
}

func TestAFullGroupMakesPublishingUnavailableForAll(t *testing.T) {
	t.Parallel()
	b := open(t, map[string]any{"max_pending": 2})
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"fast", "slow"}))
	one, two, three := newMessage("1"), newMessage("2"), newMessage("3")
	require.NoError(t, b.Publish("topic", one))

	var failed *ports.PublishError
	require.ErrorAs(t, b.Publish("topic", two, three), &failed)
	require.Len(t, failed.Failed, 2)
	require.Equal(t, ports.Unavailable, failed.Failed["3"].Failure)

	sub, err := b.Subscriber("fast")
	require.NoError(t, err)
	msgs, err := sub.Subscribe(context.WithoutCancel(t.Context()), "topic")
	require.NoError(t, err)
	require.True(t, (<-msgs).Ack())
	require.NoError(t, b.Publish("topic", two), "the batch that failed left nothing behind")
	require.Error(t, b.Publish("topic", three), "what waits for a consumer counts")
}

func TestAHandlerMayChangeItsMessage(t *testing.T) {
	t.Parallel()
	b := open(t, map[string]any{"retry_delay": "1ms"})
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	sent := newMessage("1")
	sent.Metadata.Set("key", "value")
	require.NoError(t, b.Publish("topic", sent))
	sent.Payload[0] = '?'

	sub, err := b.Subscriber("group")
	require.NoError(t, err)
	msgs, err := sub.Subscribe(context.WithoutCancel(t.Context()), "topic")
	require.NoError(t, err)
	for range 2 {
		m := <-msgs
		require.Equal(t, "{}", string(m.Payload))
		require.Equal(t, message.Metadata{"key": "value"}, m.Metadata)
		m.Payload[0] = '!'
		m.Metadata.Set("key", "other")
		require.True(t, m.Nack())
	}
	require.True(t, (<-msgs).Ack())
}

// A full dead topic is emptied by an operator, and meanwhile nothing is lost.
func TestWhatCanNotBecomeADeadLetterStays(t *testing.T) {
	t.Parallel()
	b := open(t, map[string]any{"retry_delay": "1ms", "retry_delay_max": "1ms", "max_deliveries": 1, "max_pending": 1})
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	require.NoError(t, b.Publish(ports.DeadTopic("topic"), newMessage("full")))
	msgs, letters := consume(t, b, "topic", "group"), consume(t, b, ports.DeadTopic("topic"), ports.GroupDead)
	require.NoError(t, b.Publish("topic", newMessage("poison")))
	for range 5 {
		m := <-msgs
		require.Equal(t, "poison", m.UUID)
		require.True(t, m.Nack())
	}
	require.True(t, (<-letters).Ack())
	for letter := (*message.Message)(nil); letter == nil; {
		select {
		case m := <-msgs:
			require.True(t, m.Nack())
		case letter = <-letters:
			require.Equal(t, "poison", letter.UUID)
			require.True(t, letter.Ack())
		}
	}
}

func TestNoMessageIsGivenUpIfNoneShallBe(t *testing.T) {
	t.Parallel()
	b := open(t, map[string]any{"retry_delay": "1ms", "retry_delay_max": "1ms", "max_deliveries": 0})
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	require.NoError(t, b.Publish("topic", newMessage("1")))
	msgs := consume(t, b, "topic", "group")
	for range 200 {
		require.True(t, (<-msgs).Nack())
	}
	require.True(t, (<-msgs).Ack())
}

func consume(t *testing.T, b *memorybroker.Broker, topic, group string) <-chan *message.Message {
	t.Helper()
	sub, err := b.Subscriber(group)
	require.NoError(t, err)
	msgs, err := sub.Subscribe(context.WithoutCancel(t.Context()), topic)
	require.NoError(t, err)
	return msgs
}

func TestModuleRefusesBadOptions(t *testing.T) {
	t.Parallel()
	_, err := memorybroker.Module(map[string]any{"colour": 1})
	require.ErrorContains(t, err, "colour")
}

func newMessage(uuid string) *message.Message {
	return message.NewMessage(uuid, []byte("{}"))
}
