package postgresbroker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgresbroker"
	"lectern/e2e/stack"
)

const batch = 500

func BenchmarkPublishBatch(b *testing.B) {
	broker := prepared(b)
	for b.Loop() {
		require.NoError(b, broker.Publish("topic", jobs(batch)...))
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkConsume acks at once, against a backlog of 10,000.
func BenchmarkConsume(b *testing.B) {
	const backlog = 10_000
	broker := prepared(b)
	for b.Loop() {
		b.StopTimer()
		for range backlog / batch {
			require.NoError(b, broker.Publish("topic", jobs(batch)...))
		}
		sub, msgs := subscribe(b, broker)
		b.StartTimer()
		for range backlog {
			m := <-msgs
			m.Ack()
		}
		b.StopTimer()
		require.NoError(b, sub.Close())
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*backlog)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkLatency is from Publish's call to the handler's, with nothing else to do.
func BenchmarkLatency(b *testing.B) {
	broker := prepared(b)
	_, msgs := subscribe(b, broker)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		require.NoError(b, broker.Publish("topic", jobs(1)...))
		m := <-msgs
		took = append(took, time.Since(start))
		m.Ack()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

func prepared(b *testing.B) *postgresbroker.Broker {
	b.Helper()
	broker := open(b, stack.Database(b, "lectern_broker").Broker, map[string]any{})
	require.NoError(b, broker.Prepare(b.Context(), []string{"topic"}, []string{"group"}))
	return broker
}

func subscribe(tb testing.TB, b *postgresbroker.Broker) (message.Subscriber, <-chan *message.Message) {
	tb.Helper()
	sub, err := b.Subscriber("group")
	require.NoError(tb, err)
	msgs, err := sub.Subscribe(tb.Context(), "topic")
	require.NoError(tb, err)
	return sub, msgs
}

func jobs(n int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = message.NewMessage(uuid.NewString(), []byte(`{"course_id":"0190f5fe-7c00-7a00-8000-0123456789ab","run":1}`))
		msgs[i].Metadata.Set("ce_subject", "0190f5fe-7c00-7a00-8000-0123456789ab")
	}
	return msgs
}
