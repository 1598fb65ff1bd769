package kafkabroker_test

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/adapters/kafkabroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

// share is a prepared broker, and its share of the Kafka as an outsider sees it.
type share struct {
	*kafkabroker.Broker
	kafka   stack.KafkaTopics
	outside *kadm.Client
}

func newShare(t *testing.T, raw map[string]any) share {
	t.Helper()
	s := share{kafka: stack.Kafka(t)}
	s.Broker, s.outside = open(t, s.kafka, raw), admin(t, s.kafka)
	require.NoError(t, s.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	return s
}

func admin(t *testing.T, k stack.KafkaTopics) *kadm.Client {
	t.Helper()
	client, err := kadm.NewOptClient(kgo.SeedBrokers(k.Addresses...))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func (s share) name() string { return s.kafka.Prefix + "topic" }

// publish publishes n messages of one subject.
func (s share) publish(t *testing.T, n int) []*message.Message {
	t.Helper()
	msgs := jobs(n)
	for _, m := range msgs {
		m.Metadata.Set(ports.MetaSubject, "subject")
	}
	require.NoError(t, s.Publish("topic", msgs...))
	return msgs
}

// committed is the offset of the only partition that the group will go on from.
func (s share) committed(t *testing.T) int64 {
	t.Helper()
	offsets, err := s.outside.FetchOffsets(t.Context(), "group."+s.name())
	require.NoError(t, err)
	at, found := offsets.Lookup(s.name(), 0)
	require.True(t, found)
	return at.At
}

// published is how many messages the only partition of a topic has.
func (s share) published(t *testing.T, topic string) int64 {
	t.Helper()
	ends, err := s.outside.ListEndOffsets(t.Context(), s.kafka.Prefix+topic)
	require.NoError(t, err)
	end, found := ends.Lookup(s.kafka.Prefix+topic, 0)
	require.True(t, found)
	return end.Offset
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v, open := <-c:
		require.True(t, open, "the channel closed")
		return v
	case <-time.After(patience):
	}
	require.FailNow(t, "nothing came")
	var none T
	return none
}

func requireFailure(t *testing.T, want ports.PublishFailure, err error, msgs ...*message.Message) {
	t.Helper()
	var failed *ports.PublishError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Failed, len(msgs), err)
	for _, m := range msgs {
		require.Equal(t, want.String(), failed.Failed[m.UUID].Failure.String(), err)
	}
}

func newMessage(payload string) *message.Message {
	return message.NewMessage(uuid.NewString(), []byte(payload))
}
