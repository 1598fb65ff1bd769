package natsbroker_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
	"lectern/ports"
)

// The server counts it as one.
func TestWhatIsGivenBackUnseenIsNoDelivery(t *testing.T) {
	t.Parallel()
	const n, rounds = 64, 12
	b := prepared(t, stack.NATS(t), "lease", "1h", "concurrency", n, "max_deliveries", 2, "retry_delay_max", "1h")
	require.NoError(t, b.Publish("topic", jobs(n)...))
	for range rounds {
		sub, msgs := subscribe(t, b)
		require.True(t, receive(t, msgs).Ack())
		require.NoError(t, sub.Close())
	}

	_, msgs := subscribe(t, b)
	poison := receive(t, msgs)
	require.True(t, poison.Nack())
	for range n - rounds - 1 {
		require.True(t, receive(t, msgs).Ack())
	}
	again := receive(t, msgs) // and soon: twelve deliveries more would be an hour
	require.Equal(t, poison.UUID, again.UUID)
	require.True(t, again.Nack())

	letters := deadLetters(t, b)
	letter := receive(t, letters)
	require.Equal(t, poison.UUID, letter.UUID)
	require.Equal(t, "nacked 2 times", letter.Metadata.Get(ports.MetaDeadReason))
	require.True(t, letter.Ack())
	require.Empty(t, letters)
}

// They are many, and one note that is lost would have messages given up.
func TestConsumersThatCloseAtOnceNoteAllThatTheyGiveBack(t *testing.T) {
	t.Parallel()
	const n, rounds, consumers, concurrency = 100, 5, 4, 10
	b := prepared(t, stack.NATS(t), "lease", "1h", "concurrency", concurrency, "max_deliveries", 1)
	require.NoError(t, b.Publish("topic", jobs(n)...))
	for range rounds {
		var subs []message.Subscriber
		for range consumers {
			sub, msgs := subscribe(t, b)
			require.True(t, receive(t, msgs).Ack())
			subs = append(subs, sub)
		}
		var closing sync.WaitGroup
		for _, sub := range subs {
			closing.Go(func() { _ = sub.Close() })
		}
		closing.Wait()
	}
	_, msgs := subscribe(t, b)
	for range n - rounds*consumers {
		require.True(t, receive(t, msgs).Ack())
	}
}

func TestWhatIsSettledIsNotNotedForEver(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b := prepared(t, s)
	require.NoError(t, b.Publish("topic", jobs(10)...))
	for range 3 {
		sub, msgs := subscribe(t, b)
		require.True(t, receive(t, msgs).Ack())
		require.NoError(t, sub.Close())
	}
	stream, err := admin(t, s.Address).Stream(t.Context(), streamOf(s, "_unseen"))
	require.NoError(t, err)
	note, err := stream.GetLastMsgForSubject(t.Context(), s.Prefix+"_unseen."+streamOf(s, "topic")+".group")
	require.NoError(t, err)
	var counts map[uint64]int
	require.NoError(t, json.Unmarshal(note.Data, &counts))
	require.NotContains(t, counts, uint64(2))
	require.Contains(t, counts, uint64(4))
	require.EqualValues(t, 1, stream.CachedInfo().State.Msgs)
}

// Without its stream a consumer could not tell.
func TestSubscribingWhereNothingCanBeNotedFails(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b := prepared(t, s)
	require.NoError(t, admin(t, s.Address).DeleteStream(t.Context(), streamOf(s, "_unseen")))
	missing := open(t, s, map[string]any{"create_topics": false}).Prepare(t.Context(), []string{"topic"}, []string{"group"})
	require.ErrorContains(t, missing, "stream "+streamOf(s, "_unseen")+": it is not there")
	sub, err := b.Subscriber("group")
	require.NoError(t, err)
	_, err = sub.Subscribe(t.Context(), "topic")
	require.ErrorContains(t, err, "Prepare")
}

func deadLetters(t *testing.T, b ports.Broker) <-chan *message.Message {
	t.Helper()
	sub, err := b.Subscriber(ports.GroupDead)
	require.NoError(t, err)
	letters, err := sub.Subscribe(t.Context(), ports.DeadTopic("topic"))
	require.NoError(t, err)
	return letters
}
