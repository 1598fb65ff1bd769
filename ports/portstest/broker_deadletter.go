package portstest

import (
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func poisonBecomesADeadLetter(t *brokerT) {
	b := t.open(group, other)
	_, msgs := t.consume(b, group)
	poison := newMessage("subject", "\x00 Ёж \xff")
	poison.Metadata.Set("key", "значение")
	require.NoError(t, b.Publish(topic, poison))
	for range BrokerMaxDeliveries {
		m := t.receive(msgs)
		require.Equal(t, poison.UUID, m.UUID)
		require.True(t, m.Nack())
	}

	letters := t.consumeDead(b)
	letter := t.receiveDead(letters)
	require.Equal(t, poison.UUID, letter.UUID)
	require.Equal(t, string(poison.Payload), string(letter.Payload))
	for key, value := range poison.Metadata {
		require.Equal(t, value, letter.Metadata.Get(key))
	}
	require.Contains(t, letter.Metadata.Get(ports.MetaDeadReason), strconv.Itoa(BrokerMaxDeliveries))
	t.requireNoneLeft(b, msgs)

	_, others := t.consume(b, other)
	require.Equal(t, poison.UUID, t.receiveAcked(others, 1)[0].UUID, "the other group's is its own affair")
	t.requireNoDeadLetter(b, letters)
}

// No consumer lives to nack it. What a consumer had in hand besides would count
// as handed out too, so there is nothing else before the last one's death.
func killerBecomesADeadLetter(t *brokerT) {
	b := t.open(group)
	killer, behind := newMessage("subject", "{}"), newMessages(3)
	require.NoError(t, b.Publish(topic, killer))
	for range BrokerMaxDeliveries {
		dying := t.open(group)
		_, msgs := t.consume(dying, group)
		require.Equal(t, killer.UUID, t.receive(msgs).UUID)
		t.Sever(t.T, dying)
	}

	require.NoError(t, b.Publish(topic, behind...))
	_, msgs := t.consume(b, group)
	require.Equal(t, behind.IDs(), t.receiveAcked(msgs, len(behind)).IDs())
	letters := t.consumeDead(b)
	letter := t.receiveDead(letters)
	require.Equal(t, killer.UUID, letter.UUID)
	require.Equal(t, string(killer.Payload), string(letter.Payload))
	require.Contains(t, letter.Metadata.Get(ports.MetaDeadReason), strconv.Itoa(BrokerMaxDeliveries))
	t.requireNoneLeft(b, msgs)
	t.requireNoDeadLetter(b, letters)
}

// There is no topic for it to go to.
func deadLetterIsNotGivenUp(t *brokerT) {
	b := t.open(group)
	letters := t.consumeDead(b)
	sent := newMessages(1)
	require.NoError(t, b.Publish(ports.DeadTopic(topic), sent...))
	for range BrokerMaxDeliveries {
		require.True(t, t.receive(letters).Nack())
	}
	require.Equal(t, sent.IDs(), t.receiveAcked(letters, 1).IDs())
}

func unreadableBecomesADeadLetter(t *brokerT) {
	const raw = "\x00\x01 не сообщение \xff"
	b := t.open(group)
	_, msgs := t.consume(b, group)
	sent := newMessages(2)
	require.NoError(t, b.Publish(topic, sent[0]))
	t.PublishRaw(t.T, topic, []byte(raw))
	require.NoError(t, b.Publish(topic, sent[1]))
	require.Equal(t, sent.IDs(), t.receiveAcked(msgs, len(sent)).IDs())

	letters := t.consumeDead(b)
	require.Equal(t, raw, string(t.receiveDead(letters).Payload))
	t.requireNoneLeft(b, msgs)
	t.requireNoDeadLetter(b, letters)
}

// receiveDead acks a dead letter of the group and returns it.
func (t *brokerT) receiveDead(letters <-chan *message.Message) *message.Message {
	t.Helper()
	letter := t.receiveAcked(letters, 1)[0]
	require.NotEmpty(t, letter.UUID)
	require.Equal(t, topic, letter.Metadata.Get(ports.MetaDeadTopic))
	require.Equal(t, group, letter.Metadata.Get(ports.MetaDeadGroup))
	require.NotEmpty(t, letter.Metadata.Get(ports.MetaDeadReason))
	require.NotEmpty(t, letter.Metadata.Get(ports.MetaDeadOrigin))
	_, err := time.Parse(time.RFC3339, letter.Metadata.Get(ports.MetaDeadTime))
	require.NoError(t, err)
	return letter
}

// requireNoDeadLetter proves by one published last that no other one waits.
func (t *brokerT) requireNoDeadLetter(b ports.Broker, letters <-chan *message.Message) {
	t.Helper()
	last := newMessages(1)
	require.NoError(t, b.Publish(ports.DeadTopic(topic), last...))
	require.Equal(t, last.IDs(), t.receiveAcked(letters, 1).IDs(), "another dead letter came before the one published last")
}
