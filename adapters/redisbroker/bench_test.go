package redisbroker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/adapters/redisbroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

const (
	batch   = 500
	backlog = 50_000
)

// BenchmarkPublish compares batches with the pipelined XADD of the same fields.
// They take turns, on one server.
func BenchmarkPublish(b *testing.B) {
	address := stack.Redis(b)
	broker, raw := prepared(b, address), admin(b, address)
	compare(b, batch, func() time.Duration {
		msgs := jobs(batch)
		return timed(func() { require.NoError(b, broker.Publish("topic", msgs...)) })
	}, func() time.Duration {
		entries := make([][]any, batch)
		for i, m := range jobs(batch) {
			entries[i] = fields(b, m)
		}
		return timed(func() { addRaw(b, raw, entries) })
	})
}

// BenchmarkConsume compares acking at once with reading COUNT 100 and pipelined
// XACK, on a backlog of the same messages.
func BenchmarkConsume(b *testing.B) {
	address := stack.Redis(b)
	broker, raw := prepared(b, address), admin(b, address)
	fill := func() {
		for range backlog / batch {
			require.NoError(b, broker.Publish("topic", jobs(batch)...))
		}
	}
	compare(b, backlog, func() time.Duration {
		fill()
		sub, msgs := subscribe(b, broker)
		took := timed(func() {
			for range backlog {
				m := <-msgs
				m.Ack()
			}
		})
		require.NoError(b, sub.Close())
		return took
	}, func() time.Duration {
		require.NoError(b, raw.Del(b.Context(), prefix+"topic").Err())
		require.NoError(b, broker.Prepare(b.Context(), []string{"topic"}, []string{"group"}))
		fill()
		return timed(func() { consumeRaw(b, raw) })
	})
}

// BenchmarkLatency is from Publish's call to the handler's, with nothing else to do.
func BenchmarkLatency(b *testing.B) {
	broker := prepared(b, stack.Redis(b))
	_, msgs := subscribe(b, broker)
	for b.Loop() {
		require.NoError(b, broker.Publish("topic", jobs(1)...))
		m := <-msgs
		m.Ack()
	}
}

// compare reports the medians of turns of n messages each.
func compare(b *testing.B, n int, ours, raw func() time.Duration) {
	b.Helper()
	var tookOurs, tookRaw []time.Duration
	for b.Loop() {
		tookOurs, tookRaw = append(tookOurs, ours()), append(tookRaw, raw())
	}
	slices.Sort(tookOurs)
	slices.Sort(tookRaw)
	medianOurs, medianRaw := tookOurs[len(tookOurs)/2].Seconds(), tookRaw[len(tookRaw)/2].Seconds()
	b.ReportMetric(float64(n)/medianOurs, "messages/s")
	b.ReportMetric(float64(n)/medianRaw, "raw-messages/s")
	b.ReportMetric(medianRaw/medianOurs, "ratio")
}

func timed(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

func addRaw(b *testing.B, client *redis.Client, entries [][]any) {
	b.Helper()
	_, err := client.Pipelined(b.Context(), func(pipe redis.Pipeliner) error {
		for _, values := range entries {
			pipe.XAdd(b.Context(), &redis.XAddArgs{Stream: prefix + "topic", Values: values})
		}
		return nil
	})
	require.NoError(b, err)
}

func consumeRaw(b *testing.B, client *redis.Client) {
	b.Helper()
	for n := 0; n < backlog; {
		streams, err := client.XReadGroup(b.Context(), &redis.XReadGroupArgs{
			Group: "group", Consumer: "raw", Streams: []string{prefix + "topic", ">"}, Count: 100,
		}).Result()
		require.NoError(b, err)
		_, err = client.Pipelined(b.Context(), func(pipe redis.Pipeliner) error {
			for _, m := range streams[0].Messages {
				pipe.XAck(b.Context(), prefix+"topic", "group", m.ID)
			}
			return nil
		})
		require.NoError(b, err)
		n += len(streams[0].Messages)
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
