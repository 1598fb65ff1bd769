package portstest

import (
	"context"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func messagesSurviveAReopening(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	sent := newMessages(4)
	require.NoError(t, b.Publish(topic, sent...))
	_, msgs := consume(t, b, group)
	require.True(t, receive(t, msgs).Ack())
	require.True(t, receive(t, msgs).Nack())
	require.NoError(t, b.Close())

	b = s.Open(t)
	_, msgs = consume(t, b, group)
	require.ElementsMatch(t, sent[1:].IDs(), receiveAcked(t, msgs, len(sent)-1).IDs())
	requireNoneLeft(t, b, msgs)
}

// Close waits for the handler, and its ack counts: nothing comes twice. What
// was not handed out yet is neither acked nor lost, and keeps its order.
func closeFinishesWhatIsInHand(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	sent := newMessages(3 * BrokerConcurrency)
	require.NoError(t, b.Publish(topic, sent...))
	sub, msgs := consume(t, b, group)
	held := receive(t, msgs)

	closed := make(chan error, 1)
	go func() { closed <- sub.Close() }()
	got := drain(msgs, held)
	require.NoError(t, <-closed)
	requireClosed(t, msgs)
	require.NoError(t, sub.Close(), "closing again")

	_, msgs = consume(t, b, group)
	require.Equal(t, sent.IDs(), append(got, receiveAcked(t, msgs, len(sent)-len(got))...).IDs())
	requireNoneLeft(t, b, msgs)
}

// drain acks a message and what still comes, until the channel closes.
func drain(msgs <-chan *message.Message, got ...*message.Message) message.Messages {
	got[0].Ack()
	for m := range msgs {
		m.Ack()
		got = append(got, m)
	}
	return got
}

// A handler that never answers can't keep a consumer from closing.
func closeGivesBackWhatIsNotSettled(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	sent := newMessages(2)
	require.NoError(t, b.Publish(topic, sent...))
	sub, msgs := consume(t, b, group)
	stuck := receive(t, msgs)
	require.NoError(t, stuck.Context().Err())

	require.NoError(t, sub.Close())
	require.Error(t, stuck.Context().Err(), "its handler is told")

	_, msgs = consume(t, b, group)
	require.ElementsMatch(t, sent.IDs(), receiveAcked(t, msgs, len(sent)).IDs())
	requireNoneLeft(t, b, msgs)
}

func contextEndsASubscription(t *testing.T, s *brokerBench) {
	type key struct{}
	b := s.open(t, group)
	require.NoError(t, b.Publish(topic, newMessages(2)...))
	sub, err := b.Subscriber(group)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	msgs, err := sub.Subscribe(ctx, topic)
	require.NoError(t, err)
	held := receive(t, msgs)
	require.Equal(t, "value", held.Context().Value(key{}))

	cancel()
	require.NoError(t, held.Context().Err(), "what is in hand may be finished")
	got := drain(msgs, held)

	msgs, err = sub.Subscribe(context.WithoutCancel(ctx), topic)
	require.NoError(t, err, "its consumer may subscribe again")
	receiveAcked(t, msgs, 2-len(got))
	requireNoneLeft(t, b, msgs)
}

func closedBrokerRefusesWork(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	sub, msgs := consume(t, b, group)
	require.NoError(t, b.Close())
	requireClosed(t, msgs)

	sent := newMessages(1)
	requireFailure(t, ports.Unavailable, b.Publish(topic, sent...), sent...)
	_, err := b.Subscriber(group)
	require.Error(t, err)
	_, err = sub.Subscribe(t.Context(), topic)
	require.Error(t, err)
	require.Error(t, b.Prepare(t.Context(), []string{topic}, []string{group}))
	require.Error(t, b.Ping(t.Context()))
	require.NoError(t, b.Close(), "closing again")
}
