package portstest

import (
	"time"

	"github.com/stretchr/testify/require"

	"lectern/ports"
)

// Only lower bounds: a slow machine can't fail it.
func nackedComesBackLaterAndLater(t *brokerT) {
	b := t.open(group)
	_, msgs := t.consume(b, group)
	sent := newMessage("subject", `{"n":1}`)
	sent.Metadata.Set("key", "value")
	require.NoError(t, b.Publish(topic, sent))
	m := t.receive(msgs)
	for wait := t.harness.RetryDelay; wait <= 8*t.harness.RetryDelay; wait *= 2 {
		nacked := time.Now()
		require.True(t, m.Nack())
		m = t.receive(msgs)
		require.GreaterOrEqual(t, time.Since(nacked), wait)
		require.Equal(t, sent.UUID, m.UUID)
		require.Equal(t, sent.Payload, m.Payload)
		require.Equal(t, sent.Metadata, m.Metadata)
	}
	require.True(t, m.Ack())
	t.requireNoneLeft(b, msgs)
}

// More messages are nacked again and again than are handed out at once.
func nackedBlocksNoOther(t *brokerT) {
	b := t.open(group)
	_, msgs := t.consume(b, group)
	nacks := map[string]int{}
	for range 2 * BrokerConcurrency {
		poison := newMessage("poison", "{}")
		nacks[poison.UUID] = 0
		require.NoError(t, b.Publish(topic, poison))
	}
	require.NoError(t, b.Publish(topic, newMessage("healthy", "{}")))
	for {
		m := t.receive(msgs)
		if m.Metadata.Get(ports.MetaSubject) == "healthy" {
			require.True(t, m.Ack())
			break
		}
		if nacks[m.UUID]++; nacks[m.UUID] == BrokerMaxDeliveries {
			require.True(t, m.Ack()) // one nack more would make it a dead letter
			delete(nacks, m.UUID)
			continue
		}
		require.True(t, m.Nack())
	}
	t.receiveAcked(msgs, len(nacks))
	t.requireNoneLeft(b, msgs)
}

func deadConsumersMessagesComeBack(t *brokerT) {
	dying, b := t.open(group), t.open(group)
	sent := newMessages(2)
	require.NoError(t, b.Publish(topic, sent...))
	_, msgs := t.consume(dying, group)
	require.Equal(t, sent[0].UUID, t.receive(msgs).UUID)

	t.Sever(t.T, dying)

	_, msgs = t.consume(b, group)
	require.ElementsMatch(t, sent.IDs(), t.receiveAcked(msgs, len(sent)).IDs())
	t.requireNoneLeft(b, msgs)
}

// The handler is given three times as long as a dead one's message is kept
// from others, who would show what they got.
func slowHandlerIsNotDoubled(t *brokerT) {
	b := t.open(group)
	sent := newMessage("slow", "{}")
	require.NoError(t, b.Publish(topic, sent))
	_, slow := t.consume(b, group)
	held := t.receive(slow)
	require.Equal(t, sent.UUID, held.UUID)

	_, others := t.consume(b, group)
	select {
	case m := <-others:
		require.FailNow(t, "a message in hand came again", m.UUID)
	case m := <-slow:
		require.FailNow(t, "a message in hand came again", m.UUID)
	case <-time.After(3 * t.harness.Visibility):
	}
	require.NoError(t, held.Context().Err())
	require.True(t, held.Ack())

	last := newMessage("last", "{}")
	require.NoError(t, b.Publish(topic, last))
	require.Equal(t, last.UUID, t.receiveAckedOfEither(slow, others).UUID)
}
