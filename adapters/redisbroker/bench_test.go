package redisbroker_test

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/redisbroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

// BenchmarkLatency is from Publish's call to the handler's, with nothing else to do.
// How much goes through in a second `make bench` measures.
func BenchmarkLatency(b *testing.B) {
	broker := prepared(b, stack.Redis(b))
	_, msgs := subscribe(b, broker)
	for b.Loop() {
		require.NoError(b, broker.Publish("topic", jobs(1)...))
		m := <-msgs
		m.Ack()
	}
}

func prepared(b *testing.B, address string) *redisbroker.Broker {
	b.Helper()
	broker := open(b, address, map[string]any{})
	require.NoError(b, broker.Prepare(b.Context(), []string{"topic"}, []string{"group"}))
	return broker
}

func subscribe(tb testing.TB, b *redisbroker.Broker) (message.Subscriber, <-chan *message.Message) {
	tb.Helper()
	sub, err := b.Subscriber("group")
	require.NoError(tb, err)
	msgs, err := sub.Subscribe(tb.Context(), "topic")
	require.NoError(tb, err)
	return sub, msgs
}

// jobs returns messages as the relay makes them.
func jobs(n int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		id := uuid.NewString()
		msgs[i] = message.NewMessage(id, []byte(`{"course_id":"0190f5fe-7c00-7a00-8000-0123456789ab","run":1}`))
		msgs[i].Metadata = message.Metadata{
			ports.MetaSpecVersion: ports.CloudEventsVersion,
			ports.MetaID:          id,
			ports.MetaType:        ports.MessageTypePrefix + "structure-analysis",
			ports.MetaSource:      ports.MessageSource,
			ports.MetaSubject:     "0190f5fe-7c00-7a00-8000-0123456789ab",
			ports.MetaTime:        "2026-11-05T10:20:30.123456789Z",
			ports.MetaContentType: ports.ContentTypeJSON,
			ports.MetaRun:         "1",
		}
	}
	return msgs
}

// fields are an entry's, in the order that is best for Redis.
func fields(tb testing.TB, m *message.Message) []any {
	tb.Helper()
	values, err := redisstream.DefaultMarshallerUnmarshaller{}.Marshal("topic", m)
	require.NoError(tb, err)
	return []any{redisstream.UUIDHeaderKey, m.UUID, "metadata", values["metadata"], "payload", values["payload"]}
}
