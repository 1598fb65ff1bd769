package natsbroker_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
	"lectern/ports"
)

// What the server had sent and nobody had taken would otherwise be lost for the
// lease, which is an hour here. Nor is it out of order afterwards.
func TestAClosingConsumerGivesBackAllThatIsUnderWay(t *testing.T) {
	t.Parallel()
	const n = 2000
	b := prepared(t, stack.NATS(t), "lease", "1h")
	published := make(chan error, 1)
	go func() {
		for i := range n {
			job := jobs(1)[0]
			job.Payload = []byte(strconv.Itoa(i))
			if err := b.Publish("topic", job); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	for next, rounds := 0, 1; next < n; rounds++ {
		sub, msgs := subscribe(t, b)
		for range rounds % 50 {
			if next == n {
				break
			}
			m := receive(t, msgs)
			require.Equal(t, strconv.Itoa(next), string(m.Payload))
			require.True(t, m.Ack())
			next++
		}
		go func() { _ = sub.Close() }()
		for m := range msgs {
			require.Equal(t, strconv.Itoa(next), string(m.Payload))
			require.True(t, m.Ack())
			next++
		}
		require.NoError(t, sub.Close())
	}
	require.NoError(t, <-published)
}

// However quick they were before.
func TestAConsumerTakesNoMoreThanItsHandlersCanHaveInHand(t *testing.T) {
	t.Parallel()
	const n = 1000
	b := prepared(t, stack.NATS(t), "lease", "1h")
	for range n / 100 {
		require.NoError(t, b.Publish("topic", jobs(100)...))
	}
	_, slow := subscribe(t, b)
	for range n / 2 {
		require.True(t, receive(t, slow).Ack())
	}
	kept := map[string]bool{}
	for range 4 {
		kept[receive(t, slow).UUID] = true
	}
	_, free := subscribe(t, b)
	got := map[string]bool{}
	for range n/2 - len(kept) {
		m := receive(t, free)
		require.False(t, got[m.UUID] || kept[m.UUID], "twice")
		got[m.UUID] = true
		require.True(t, m.Ack())
	}
}

// A durable keeps its own lease, by which it must be extended.
func TestALeaseThatIsShorterThanTheOptionsSayIsExtendedInTime(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	prepared(t, s, "lease", "300ms")
	b := prepared(t, s, "lease", "1h")
	require.NoError(t, b.Publish("topic", jobs(1)...))
	_, msgs := subscribe(t, b)
	held := receive(t, msgs)
	_, others := subscribe(t, b)
	select {
	case <-others:
		require.FailNow(t, "a message in hand came again")
	case <-msgs:
		require.FailNow(t, "a message in hand came again")
	case <-time.After(time.Second):
	}
	require.True(t, held.Ack())
}

// A message that was nacked awaits an ack until it comes again: with the
// server's own limit of those, 1,000, nothing else would come.
func TestManyNackedMessagesHoldUpNoOther(t *testing.T) {
	t.Parallel()
	const n = 1200
	b := prepared(t, stack.NATS(t), "retry_delay", "1h", "retry_delay_max", "1h")
	for range n / 100 {
		require.NoError(t, b.Publish("topic", jobs(100)...))
	}
	_, msgs := subscribe(t, b)
	for range n {
		require.True(t, receive(t, msgs).Nack())
	}
	last := jobs(1)
	require.NoError(t, b.Publish("topic", last...))
	m := receive(t, msgs)
	require.Equal(t, last[0].UUID, m.UUID)
	require.True(t, m.Ack())
}

func TestConsumersSurviveTheLossOfConnections(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	proxy := stack.NewProxy(t, host(s.Address))
	b := prepared(t, s, "addresses", []any{proxy.Addr()}, "lease", "1s", "retry_delay", "10ms")
	outside := prepared(t, s)
	_, msgs := subscribe(t, b)
	missing := map[string]bool{}
	for range 5 {
		sent := jobs(20)
		for _, m := range sent {
			missing[m.UUID] = true
		}
		require.NoError(t, outside.Publish("topic", sent...))
		m := receive(t, msgs)
		proxy.Cut()
		proxy.Restore()
		delete(missing, m.UUID)
		m.Ack()
	}
	for len(missing) > 0 {
		m := receive(t, msgs)
		delete(missing, m.UUID)
		m.Ack()
	}
}

func TestAHandlerMayChangeItsMessage(t *testing.T) {
	t.Parallel()
	b := prepared(t, stack.NATS(t), "retry_delay", "1ms", "max_deliveries", 2)
	sent := jobs(1)[0]
	require.NoError(t, b.Publish("topic", sent))
	_, msgs := subscribe(t, b)
	for range 2 {
		m := receive(t, msgs)
		require.Equal(t, string(sent.Payload), string(m.Payload))
		require.Equal(t, sent.Metadata, m.Metadata)
		m.Payload[0] = '!'
		m.Metadata.Set("key", "other")
		require.True(t, m.Nack())
	}
	sub, err := b.Subscriber("dead")
	require.NoError(t, err)
	letters, err := sub.Subscribe(t.Context(), "topic_dead")
	require.NoError(t, err)
	letter := receive(t, letters)
	require.Equal(t, string(sent.Payload), string(letter.Payload))
	require.Empty(t, letter.Metadata.Get("key"))
	require.True(t, letter.Ack())
}

// A message that takes its process with it is never nacked.
func TestWhatIsNeverSettledBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b := prepared(t, s, "lease", "100ms", "max_deliveries", 3)
	sent := message.NewMessage("1", []byte("{}"))
	require.NoError(t, b.Publish("topic", sent))
	dying, err := admin(t, s.Address).Consumer(t.Context(), streamOf(s, "topic"), "group")
	require.NoError(t, err)
	for range 3 {
		_, err := dying.Next(jetstream.FetchMaxWait(patience))
		require.NoError(t, err)
	}

	_, msgs := subscribe(t, b)
	sub, err := b.Subscriber(ports.GroupDead)
	require.NoError(t, err)
	letters, err := sub.Subscribe(t.Context(), ports.DeadTopic("topic"))
	require.NoError(t, err)
	letter := receive(t, letters)
	require.Equal(t, sent.UUID, letter.UUID)
	require.Equal(t, "handed out 3 times, and never acknowledged", letter.Metadata.Get(ports.MetaDeadReason))
	require.Equal(t, "stream "+streamOf(s, "topic")+", sequence 1", letter.Metadata.Get(ports.MetaDeadOrigin))
	require.True(t, letter.Ack())
	require.Empty(t, msgs)
}
