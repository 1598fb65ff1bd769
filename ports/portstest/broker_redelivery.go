package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/ports"
)

// Only lower bounds: a slow machine can't fail it.
func nackedComesBackLaterAndLater(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	_, msgs := consume(t, b, group)
	sent := newMessage("subject", `{"n":1}`)
	sent.Metadata.Set("key", "value")
	require.NoError(t, b.Publish(topic, sent))
	m := receive(t, msgs)
	for wait := s.harness.RetryDelay; wait <= 8*s.harness.RetryDelay; wait *= 2 {
		nacked := time.Now()
		require.True(t, m.Nack())
		m = receive(t, msgs)
		require.GreaterOrEqual(t, time.Since(nacked), wait)
		require.Equal(t, sent.UUID, m.UUID)
		require.Equal(t, sent.Payload, m.Payload)
		require.Equal(t, sent.Metadata, m.Metadata)
	}
	require.True(t, m.Ack())
	requireNoneLeft(t, b, msgs)
}

// More messages are nacked again and again than are handed out at once.
func nackedBlocksNoOther(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	_, msgs := consume(t, b, group)
	const poisons = 2 * BrokerConcurrency
	for range poisons {
		require.NoError(t, b.Publish(topic, newMessage("poison", "{}")))
	}
	require.NoError(t, b.Publish(topic, newMessage("healthy", "{}")))
	for {
		m := receive(t, msgs)
		if m.Metadata.Get(ports.MetaSubject) == "healthy" {
			require.True(t, m.Ack())
			break
		}
		require.True(t, m.Nack())
	}
	for range poisons {
		receiveAcked(t, msgs, 1)
	}
	requireNoneLeft(t, b, msgs)
}

func deadConsumersMessagesComeBack(t *testing.T, s *brokerBench) {
	dying, b := s.open(t, group), s.open(t, group)
	sent := newMessages(2)
	require.NoError(t, b.Publish(topic, sent...))
	_, msgs := consume(t, dying, group)
	require.Equal(t, sent[0].UUID, receive(t, msgs).UUID)

	s.Sever(t, dying)

	_, msgs = consume(t, b, group)
	require.ElementsMatch(t, sent.IDs(), receiveAcked(t, msgs, len(sent)).IDs())
	requireNoneLeft(t, b, msgs)
}

// The handler is given three times as long as a dead one's message is kept
// from others, who would show what they got.
func slowHandlerIsNotDoubled(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	sent := newMessage("slow", "{}")
	require.NoError(t, b.Publish(topic, sent))
	_, slow := consume(t, b, group)
	held := receive(t, slow)
	require.Equal(t, sent.UUID, held.UUID)

	_, others := consume(t, b, group)
	select {
	case m := <-others:
		require.FailNow(t, "a message in hand came again", m.UUID)
	case m := <-slow:
		require.FailNow(t, "a message in hand came again", m.UUID)
	case <-time.After(3 * s.harness.Visibility):
	}
	require.NoError(t, held.Context().Err())
	require.True(t, held.Ack())

	last := newMessage("last", "{}")
	require.NoError(t, b.Publish(topic, last))
	require.Equal(t, last.UUID, receiveAckedOfEither(t, slow, others).UUID)
}
