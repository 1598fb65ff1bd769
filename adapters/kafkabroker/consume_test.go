package kafkabroker_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/adapters/kafkabroker"
	"lectern/ports"
)

// MarkCommitRecords by itself keeps the highest offset, and so would skip what
// is before it.
func TestOnlyWhatComesBeforeTheFirstUnsettledIsCommitted(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 1, "close_timeout": "10ms", "retry_delay": "1h", "retry_delay_max": "1h"})
	sent := s.publish(t, 5)
	sub, msgs := subscribe(t, s.Broker)
	got := []*message.Message{receive(t, msgs), receive(t, msgs), receive(t, msgs), receive(t, msgs)}
	require.True(t, got[0].Ack())
	require.True(t, got[1].Nack())
	require.True(t, got[3].Ack())
	require.NoError(t, sub.Close())
	require.EqualValues(t, 1, s.committed(t), "the second came to nothing")

	sub, msgs = subscribe(t, s.Broker)
	for _, want := range sent[1:] {
		m := receive(t, msgs)
		require.Equal(t, want.UUID, m.UUID)
		require.True(t, m.Ack())
	}
	require.NoError(t, sub.Close())
	require.EqualValues(t, 5, s.committed(t))
}

// What is settled is committed before the partitions go: the library's own
// commit is not made once there is a callback.
func TestWhatMovesToAnotherConsumerIsCommittedFirst(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"lease": "1s"})
	_, first := subscribe(t, s.Broker)
	old := jobs(100)
	require.NoError(t, s.Publish("topic", old...))
	for range old {
		require.True(t, receive(t, first).Ack())
	}
	_, second := subscribe(t, s.Broker)
	for missing := 100; missing > 0; {
		news := jobs(100)
		require.NoError(t, s.Publish("topic", news...))
		known := map[string]bool{}
		for _, m := range news {
			known[m.UUID] = true
		}
		for range news {
			var m *message.Message
			select {
			case m = <-first:
			case m = <-second:
				missing--
			}
			require.True(t, known[m.UUID], "it came again")
			delete(known, m.UUID)
			require.True(t, m.Ack())
		}
	}
}

// A handler that is slower than a rebalance may be holds up no other's for ever,
// and is told.
func TestPartitionsThatMoveWaitForTheirHandlersNoLongerThanAllowed(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 2, "concurrency": 40, "lease": "1s", "rebalance_timeout": "300ms"})
	require.NoError(t, s.Publish("topic", jobs(40)...)) // so that there are some in both
	_, first := subscribe(t, s.Broker)
	held := map[string]*message.Message{}
	for range 40 {
		m := receive(t, first)
		held[m.UUID] = m
	}
	_, second := subscribe(t, s.Broker)
	m := receive(t, second)
	require.NotNil(t, held[m.UUID])
	require.Error(t, held[m.UUID].Context().Err(), "its first handler is told")
	require.NoError(t, m.Context().Err())
	stayed := 0
	for _, m := range held {
		if m.Context().Err() == nil {
			stayed++
		}
	}
	require.Positive(t, stayed, "those of the other partition go on")
	for _, m := range held {
		m.Ack()
	}
	m.Ack()
}

// Nacked messages wait in memory, so only so many may.
func TestWithTooManyHeldBackAPartitionPausesAndOthersGoOn(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 2, "retry_delay": "5s", "retry_delay_max": "5s"})
	poison, healthy := subjectOf(t, s, 0), subjectOf(t, s, 1)
	_, msgs := subscribe(t, s.Broker)
	for range kafkabroker.MaxHeldBack {
		publishOf(t, s, poison)
	}
	for range kafkabroker.MaxHeldBack {
		require.True(t, receive(t, msgs).Nack())
	}
	waiting := publishOf(t, s, poison)
	for range 10 {
		next := publishOf(t, s, healthy)
		m := receive(t, msgs)
		require.Equal(t, next.UUID, m.UUID)
		require.True(t, m.Ack())
	}
	acked := 0
	for {
		m := receive(t, msgs)
		require.True(t, m.Ack())
		if m.UUID == waiting.UUID {
			break
		}
		acked++
	}
	require.GreaterOrEqual(t, acked, kafkabroker.MaxHeldBack/2)
}

// subjectOf finds a subject whose messages are in a partition.
func subjectOf(t *testing.T, s share, partition int32) string {
	t.Helper()
	hash := kgo.StickyKeyPartitioner(nil).ForTopic(s.name())
	for i := 0; ; i++ {
		if subject := strconv.Itoa(i); hash.Partition(&kgo.Record{Key: []byte(subject)}, 2) == int(partition) {
			return subject
		}
	}
}

func publishOf(t *testing.T, s share, subject string) *message.Message {
	t.Helper()
	m := newMessage("{}")
	m.Metadata.Set(ports.MetaSubject, subject)
	require.NoError(t, s.Publish("topic", m))
	return m
}

func TestARecordOfAStrangerHasTheSameIDEachTime(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"retry_delay": "1ms", "close_timeout": "10ms"})
	produce(t, s.kafka, &kgo.Record{Topic: s.name(), Key: []byte("\xff"), Value: []byte("{}"), Headers: []kgo.RecordHeader{{Key: "key", Value: []byte("value")}}})
	sub, msgs := subscribe(t, s.Broker)
	m := receive(t, msgs)
	require.NoError(t, uuid.Validate(m.UUID))
	require.Equal(t, message.Metadata{"key": "value"}, m.Metadata)
	require.True(t, m.Nack())
	again := receive(t, msgs)
	require.Equal(t, m.UUID, again.UUID)
	require.NoError(t, sub.Close())
	_, msgs = subscribe(t, s.Broker)
	again = receive(t, msgs)
	require.Equal(t, m.UUID, again.UUID, "to another consumer too")
	require.True(t, again.Ack())
}

func TestWhatCanNotBeReadSaysWhyAndWhereItWas(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]kgo.RecordHeader{
		"not UTF-8": {{Key: "key", Value: []byte("\xff")}},
		"zero byte": {{Key: "a\x00b", Value: []byte("value")}},
		"more than once": {
			{Key: "key", Value: []byte("1")}, {Key: "key", Value: []byte("2")}, {Key: "key", Value: []byte("3")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShare(t, map[string]any{"partitions": 1, "max_message_bytes": 5}) // others may send more
			payload := incompressible(100_000)
			produce(t, s.kafka, &kgo.Record{Topic: s.name(), Value: []byte(payload), Headers: headers})
			_, _ = subscribe(t, s.Broker)
			letter := receive(t, deadLetters(t, s))
			require.Equal(t, payload, string(letter.Payload))
			require.Contains(t, letter.Metadata.Get(ports.MetaDeadReason), name)
			require.Equal(t, "topic "+s.name()+", partition 0, offset 0", letter.Metadata.Get(ports.MetaDeadOrigin))
			require.True(t, letter.Ack())
		})
	}
}

func deadLetters(t *testing.T, s share) <-chan *message.Message {
	t.Helper()
	sub, err := s.Subscriber(ports.GroupDead)
	require.NoError(t, err)
	msgs, err := sub.Subscribe(context.WithoutCancel(t.Context()), ports.DeadTopic("topic"))
	require.NoError(t, err)
	return msgs
}

// Nor does what can't be read become nothing.
func TestADeadLetterThatCanNotBePublishedStays(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 1, "max_deliveries": 2, "retry_delay": "10ms"})
	_, err := s.outside.DeleteTopics(t.Context(), s.name()+"_dead")
	require.NoError(t, err)
	_, msgs := subscribe(t, s.Broker)
	poison := s.publish(t, 1)[0]
	for range 4 {
		m := receive(t, msgs)
		require.Equal(t, poison.UUID, m.UUID)
		require.True(t, m.Nack())
	}
	m := receive(t, msgs)
	require.NoError(t, s.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	require.True(t, m.Nack())
	letter := receive(t, deadLetters(t, s))
	require.Equal(t, poison.UUID, letter.UUID)
	require.True(t, letter.Ack())
}

// On one group of Kafka's, a new topic could not be registered while others are
// consumed, and each rebalance would be all topics'.
func TestAGroupIsPreparedForATopicWhileItConsumesAnother(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"groups": map[string]any{"group": "acme"}})
	_, msgs := subscribe(t, s.Broker)
	require.NoError(t, s.Prepare(t.Context(), []string{"topic", "another"}, []string{"group"}))
	sub, err := s.Subscriber("group")
	require.NoError(t, err)
	others, err := sub.Subscribe(context.WithoutCancel(t.Context()), "another")
	require.NoError(t, err)
	require.NoError(t, s.Publish("another", newMessage("another")))
	s.publish(t, 1)
	for _, c := range []<-chan *message.Message{msgs, others} {
		require.True(t, receive(t, c).Ack())
	}
	groups, err := s.outside.DescribeGroups(t.Context(), "acme."+s.name(), "acme."+s.kafka.Prefix+"another")
	require.NoError(t, err)
	for _, g := range groups {
		require.Len(t, g.Members, 1, g.Group)
	}
}

func TestALostPartitionLeavesSpaceToPollFor(t *testing.T) {
	t.Parallel()
	require.True(t, kafkabroker.TellsOfSpace(t.Context()))
}
