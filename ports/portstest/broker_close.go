package portstest

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func messagesSurviveAReopening(t *brokerT) {
	b := t.open(group)
	sent := newMessages(4)
	require.NoError(t, b.Publish(topic, sent...))
	_, msgs := t.consume(b, group)
	require.True(t, t.receive(msgs).Ack())
	require.True(t, t.receive(msgs).Nack())
	require.NoError(t, b.Close())

	b = t.Open(t.T)
	_, msgs = t.consume(b, group)
	require.ElementsMatch(t, sent[1:].IDs(), t.receiveAcked(msgs, len(sent)-1).IDs())
	t.requireNoneLeft(b, msgs)
}

// Close waits for the handler, and its ack counts: nothing comes twice. What
// was not handed out yet is neither acked nor lost, and keeps its order.
func closeFinishesWhatIsInHand(t *brokerT) {
	b := t.open(group)
	sent := newMessages(3 * BrokerConcurrency)
	require.NoError(t, b.Publish(topic, sent...))
	sub, msgs := t.consume(b, group)
	held := t.receive(msgs)

	closed := make(chan error, 1)
	go func() { closed <- sub.Close() }()
	got := drain(msgs, held)
	require.NoError(t, <-closed)
	t.requireClosed(msgs)
	require.NoError(t, sub.Close(), "closing again")

	_, msgs = t.consume(b, group)
	require.Equal(t, sent.IDs(), append(got, t.receiveAcked(msgs, len(sent)-len(got))...).IDs())
	t.requireNoneLeft(b, msgs)
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
func closeGivesBackWhatIsNotSettled(t *brokerT) {
	b := t.open(group)
	sent := newMessages(2)
	require.NoError(t, b.Publish(topic, sent...))
	sub, msgs := t.consume(b, group)
	stuck := t.receive(msgs)
	require.NoError(t, stuck.Context().Err())

	require.NoError(t, sub.Close())
	require.Error(t, stuck.Context().Err(), "its handler is told")

	_, msgs = t.consume(b, group)
	require.ElementsMatch(t, sent.IDs(), t.receiveAcked(msgs, len(sent)).IDs())
	t.requireNoneLeft(b, msgs)
}

// A message was not handed out by a consumer that had it in advance and closed
// in peace, however many did. The first one is quick, and so may have many.
func givenBackIsNotGivenUp(t *brokerT) {
	const n, batch = 600, 100
	b := t.open(group)
	missing := map[string]bool{}
	for range n / batch {
		sent := newMessages(batch)
		for _, m := range sent {
			missing[m.UUID] = true
		}
		require.NoError(t, b.Publish(topic, sent...))
	}
	receive := func(msgs <-chan *message.Message) {
		delete(missing, t.receiveAcked(msgs, 1)[0].UUID)
	}

	acks := n / 2
	for range BrokerMaxDeliveries + 2 {
		sub, msgs := t.consume(b, group)
		for range acks {
			receive(msgs)
		}
		acks = 1
		require.NoError(t, sub.Close())
	}

	_, msgs := t.consume(b, group)
	for len(missing) > 0 {
		receive(msgs)
	}
	t.requireNoDeadLetter(b, t.consumeDead(b))
}

func contextEndsASubscription(t *brokerT) {
	type key struct{}
	b := t.open(group)
	require.NoError(t, b.Publish(topic, newMessages(2)...))
	sub, err := b.Subscriber(group)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	msgs, err := sub.Subscribe(ctx, topic)
	require.NoError(t, err)
	held := t.receive(msgs)
	require.Equal(t, "value", held.Context().Value(key{}))

	cancel()
	require.NoError(t, held.Context().Err(), "what is in hand may be finished")
	got := drain(msgs, held)

	msgs, err = sub.Subscribe(context.WithoutCancel(ctx), topic)
	require.NoError(t, err, "its consumer may subscribe again")
	t.receiveAcked(msgs, 2-len(got))
	t.requireNoneLeft(b, msgs)
}

func closedBrokerRefusesWork(t *brokerT) {
	b := t.open(group)
	sub, msgs := t.consume(b, group)
	require.NoError(t, b.Close())
	t.requireClosed(msgs)

	sent := newMessages(1)
	t.requireFailure(ports.Unavailable, b.Publish(topic, sent...), sent...)
	_, err := b.Subscriber(group)
	require.Error(t, err)
	_, err = sub.Subscribe(t.Context(), topic)
	require.Error(t, err)
	require.Error(t, b.Prepare(t.Context(), []string{topic}, []string{group}))
	require.Error(t, b.Ping(t.Context()))
	require.NoError(t, b.Close(), "closing again")
}
