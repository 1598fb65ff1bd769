package kafkabroker_test

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
	"lectern/ports"
)

// mortal is a consumer in a process of its own, which dies without a word.
func mortal(t *testing.T, s share, raw map[string]any) (msgs <-chan *message.Message, die func()) {
	t.Helper()
	raw["lease"], raw["close_timeout"] = "1s", "10ms"
	proxy := stack.NewProxy(t, s.kafka.Addresses[0])
	_, msgs = subscribe(t, openThrough(t, proxy, s.kafka, raw))
	return msgs, proxy.Sever
}

func TestWhatIsInHandWithAKillerIsNotGivenUpForIt(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 1})
	sent := s.publish(t, 6)
	killer := sent[3]
	handled, deaths := map[string]bool{}, 0
	for len(handled) < len(sent)-1 {
		msgs, die := mortal(t, s, map[string]any{"max_deliveries": 3, "concurrency": 4})
		for len(handled) < len(sent)-1 {
			m := receive(t, msgs)
			if m.UUID == killer.UUID {
				deaths++
				require.LessOrEqual(t, deaths, 3+2, "it is counted once it comes first")
				break
			}
			if deaths > 0 { // the first time, all are in hand when it comes
				require.True(t, m.Ack())
				handled[m.UUID] = true
			}
		}
		die()
	}
	letters := deadLetters(t, s)
	letter := receive(t, letters)
	require.Equal(t, killer.UUID, letter.UUID)
	require.Equal(t, "handed out 3 times, and never acknowledged", letter.Metadata.Get(ports.MetaDeadReason))
	require.True(t, letter.Ack())
	require.EqualValues(t, 1, s.published(t, "topic_dead"))
}

func TestGivingBackInPeaceIsNoDeath(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 1, "max_deliveries": 2, "close_timeout": "10ms"})
	sent := s.publish(t, 2)
	for range 4 {
		sub, msgs := subscribe(t, s.Broker)
		require.Equal(t, sent[0].UUID, receive(t, msgs).UUID)
		require.Equal(t, sent[1].UUID, receive(t, msgs).UUID, "both are handed out at once")
		require.NoError(t, sub.Close())
	}
}

func TestADeathWithNothingInHandIsNoMessagesFault(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 1})
	for range 3 {
		msgs, die := mortal(t, s, map[string]any{"max_deliveries": 1})
		m := s.publish(t, 1)[0]
		got := receive(t, msgs)
		require.Equal(t, m.UUID, got.UUID)
		require.True(t, got.Ack())
		require.Eventually(t, func() bool { return s.committed(t) == s.published(t, "topic") }, patience, tick)
		die()
	}
}
