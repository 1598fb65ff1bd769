package kafkabroker_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/adapters/kafkabroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

const (
	batch   = 500
	backlog = 100_000
)

// BenchmarkPublish measures batches of 500, ours and the library's own, in turns:
// what counts is their ratio.
func BenchmarkPublish(b *testing.B) {
	k := stack.Kafka(b)
	broker := prepared(b, k)
	client := rawClient(b, k, kgo.ProducerLinger(0))
	require.NoError(b, broker.Publish("topic", jobs(1)...)) // both know the topic
	require.NoError(b, client.ProduceSync(b.Context(), records(k.Prefix+"topic", jobs(1))...).FirstErr())
	var raw, ours rate
	for b.Loop() {
		msgs := jobs(batch)
		records := records(k.Prefix+"topic", msgs)
		turns := []func(){
			func() { ours.measure(batch, func() { require.NoError(b, broker.Publish("topic", msgs...)) }) },
			func() {
				raw.measure(batch, func() { require.NoError(b, client.ProduceSync(b.Context(), records...).FirstErr()) })
			},
		}
		if ours.n/batch%2 == 1 { // who is first has the garbage of making the messages
			slices.Reverse(turns)
		}
		turns[0]()
		turns[1]()
	}
	report(b, raw, ours)
}

// BenchmarkConsume measures a backlog of 100,000 through the Subscriber with a
// handler that acks at once, and through a bare poll loop of a group, in turns.
// Joining the group and the first fetch don't count: nobody waits for these.
func BenchmarkConsume(b *testing.B) {
	k := stack.Kafka(b)
	broker := prepared(b, k)
	client := rawClient(b, k)
	var raw, ours rate
	for b.Loop() {
		for range backlog / batch {
			require.NoError(b, client.ProduceSync(b.Context(), records(k.Prefix+"topic", jobs(batch))...).FirstErr())
		}
		consumeOurs(b, broker, &ours)
		consumeRaw(b, k, &raw)
	}
	report(b, raw, ours)
}

func consumeOurs(b *testing.B, broker *kafkabroker.Broker, r *rate) {
	b.Helper()
	sub, msgs := subscribe(b, broker)
	defer func() { require.NoError(b, sub.Close()) }()
	first := <-msgs
	r.measure(backlog-1, func() {
		first.Ack()
		for range backlog - 1 {
			m := <-msgs
			m.Ack()
		}
	})
}

func consumeRaw(b *testing.B, k stack.KafkaTopics, r *rate) {
	b.Helper()
	client := rawClient(b, k, kgo.ConsumerGroup(k.Prefix+"raw"), kgo.ConsumeTopics(k.Prefix+"topic"),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	n := client.PollFetches(b.Context()).NumRecords()
	r.measure(backlog-n, func() {
		for n < backlog {
			n += client.PollFetches(b.Context()).NumRecords()
		}
	})
}

// BenchmarkLatency is from Publish's call to the handler's, with nothing else to do.
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

// rate is how many messages took how long.
type rate struct {
	n    int
	took time.Duration
}

func (r *rate) measure(n int, do func()) {
	start := time.Now()
	do()
	r.took += time.Since(start)
	r.n += n
}

func (r *rate) perSecond() float64 { return float64(r.n) / r.took.Seconds() }

func report(b *testing.B, raw, ours rate) {
	b.Helper()
	b.ReportMetric(ours.perSecond()/raw.perSecond(), "of-raw")
	b.ReportMetric(ours.perSecond(), "messages/s")
	b.ReportMetric(raw.perSecond(), "raw-messages/s")
	b.ReportMetric(0, "ns/op")
}

func prepared(b *testing.B, k stack.KafkaTopics) *kafkabroker.Broker {
	b.Helper()
	broker := open(b, k, map[string]any{})
	require.NoError(b, broker.Prepare(b.Context(), []string{"topic"}, []string{"group"}))
	return broker
}

func rawClient(b *testing.B, k stack.KafkaTopics, opts ...kgo.Opt) *kgo.Client {
	b.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(k.Addresses...))...)
	require.NoError(b, err)
	b.Cleanup(client.Close)
	return client
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

// records are the same messages, made by hand.
func records(topic string, msgs []*message.Message) []*kgo.Record {
	records := make([]*kgo.Record, len(msgs))
	for i, m := range msgs {
		r := &kgo.Record{Topic: topic, Key: []byte(m.Metadata.Get(ports.MetaSubject)), Value: m.Payload}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "_watermill_message_uuid", Value: []byte(m.UUID)})
		for k, v := range m.Metadata {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
		}
		records[i] = r
	}
	return records
}
