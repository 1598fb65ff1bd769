package natsbroker_test

import (
	"strconv"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

const (
	batch   = 500
	backlog = 20_000
)

// The raw client does the same: the same messages on the wire, each acknowledged.
func BenchmarkPublish(b *testing.B) {
	b.Run("raw", func(b *testing.B) {
		s := stack.NATS(b)
		js := admin(b, s.Address)
		prepared(b, s)
		msgs := jobs(batch)
		for b.Loop() {
			acks := make([]jetstream.PubAckFuture, batch)
			for i, m := range msgs {
				header := nats.Header{"_watermill_message_uuid": []string{m.UUID}}
				for key, value := range m.Metadata {
					header.Set(key, value)
				}
				var err error
				acks[i], err = js.PublishMsgAsync(&nats.Msg{Subject: s.Prefix + "topic", Header: header, Data: m.Payload})
				require.NoError(b, err)
			}
			for _, ack := range acks {
				<-ack.Ok()
			}
		}
		b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "messages/s")
	})
	b.Run("adapter", func(b *testing.B) {
		broker := prepared(b, stack.NATS(b))
		msgs := jobs(batch)
		for b.Loop() {
			require.NoError(b, broker.Publish("topic", msgs...))
		}
		b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "messages/s")
	})
}

// Each message is acknowledged at once, without waiting for the server.
func BenchmarkConsume(b *testing.B) {
	b.Run("raw", func(b *testing.B) {
		s := stack.NATS(b)
		broker := prepared(b, s)
		durable, err := admin(b, s.Address).Consumer(b.Context(), streamOf(s, "topic"), "group")
		require.NoError(b, err)
		msgs, err := durable.Messages() // once: what comes after its stop is lost for a lease
		require.NoError(b, err)
		defer msgs.Stop()
		for b.Loop() {
			b.StopTimer()
			fill(b, broker)
			b.StartTimer()
			for range backlog {
				m, err := msgs.Next()
				require.NoError(b, err)
				require.NoError(b, m.Ack())
			}
		}
		b.ReportMetric(float64(b.N*backlog)/b.Elapsed().Seconds(), "messages/s")
	})
	for _, concurrency := range []int{4, 64} {
		b.Run("adapter/"+strconv.Itoa(concurrency), func(b *testing.B) {
			broker := prepared(b, stack.NATS(b), "concurrency", concurrency)
			for b.Loop() {
				b.StopTimer()
				fill(b, broker)
				sub, err := broker.Subscriber("group")
				require.NoError(b, err)
				b.StartTimer()
				msgs, err := sub.Subscribe(b.Context(), "topic")
				require.NoError(b, err)
				for range backlog {
					(<-msgs).Ack()
				}
				b.StopTimer()
				require.NoError(b, sub.Close())
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N*backlog)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

func fill(b *testing.B, broker message.Publisher) {
	b.Helper()
	for range backlog / batch {
		require.NoError(b, broker.Publish("topic", jobs(batch)...))
	}
}

func jobs(n int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = message.NewMessage(uuid.NewString(), []byte(`{"course_id":"0190f5fe-7c00-7a00-8000-0123456789ab","run":1}`))
		msgs[i].Metadata.Set("ce_subject", "0190f5fe-7c00-7a00-8000-0123456789ab")
	}
	return msgs
}
