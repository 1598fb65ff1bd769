package kafkabroker_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/kafkabroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

// BenchmarkLatency is from Publish's call to the handler's, with nothing else to do.
// How much goes through in a second `make bench` measures.
func BenchmarkLatency(b *testing.B) {
	broker := prepared(b, stack.Kafka(b))
	_, msgs := subscribe(b, broker)
	var all []time.Duration
	for b.Loop() {
		start := time.Now()
		require.NoError(b, broker.Publish("topic", jobs(1)...))
		m := <-msgs
		all = append(all, time.Since(start))
		m.Ack()
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

func prepared(b *testing.B, k stack.KafkaTopics) *kafkabroker.Broker {
	b.Helper()
	broker := open(b, k, map[string]any{})
	require.NoError(b, broker.Prepare(b.Context(), []string{"topic"}, []string{"group"}))
	return broker
}

func subscribe(tb testing.TB, b *kafkabroker.Broker) (message.Subscriber, <-chan *message.Message) {
	tb.Helper()
	sub, err := b.Subscriber("group")
	require.NoError(tb, err)
	msgs, err := sub.Subscribe(context.WithoutCancel(tb.Context()), "topic")
	require.NoError(tb, err)
	return sub, msgs
}

// jobs are as the relay publishes them.
func jobs(n int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		m := message.NewMessage(uuid.NewString(), []byte(`{"course_id":"0190f5fe-7c00-7a00-8000-0123456789ab","run":1}`))
		m.Metadata = message.Metadata{
			ports.MetaSpecVersion: ports.CloudEventsVersion,
			ports.MetaID:          m.UUID,
			ports.MetaType:        ports.MessageTypePrefix + "summarization",
			ports.MetaSource:      ports.MessageSource,
			ports.MetaSubject:     uuid.NewString(),
			ports.MetaTime:        "2026-11-05T10:20:30Z",
			ports.MetaContentType: ports.ContentTypeJSON,
			ports.MetaRun:         "1",
		}
		msgs[i] = m
	}
	return msgs
}
