package portstest

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

// patience bounds every wait for something that must happen.
const patience = time.Minute

// tick is the pause between two looks at what tells nobody of its change.
const tick = 20 * time.Millisecond

// What the suite prepares, unless a test is about something else.
const (
	topic = "conformance"
	group = "first"
	other = "second"
)

// brokerT is a test's state, with a broker system of its own.
type brokerT struct {
	*testing.T
	BrokerSystem
	server  BrokerServer // the system, in a test that stops it
	harness BrokerHarness
}

// open returns a broker on which the topic is prepared for the groups.
func (t *brokerT) open(groups ...string) ports.Broker {
	t.Helper()
	b := t.Open(t.T)
	require.NoError(t, b.Prepare(t.Context(), []string{topic}, groups))
	return b
}

// consume returns a new consumer of the topic.
func (t *brokerT) consume(b ports.Broker, group string) (message.Subscriber, <-chan *message.Message) {
	t.Helper()
	return t.consumeTopic(b, topic, group)
}

// consumeDead returns what comes of the topic's dead letters.
func (t *brokerT) consumeDead(b ports.Broker) <-chan *message.Message {
	t.Helper()
	_, letters := t.consumeTopic(b, ports.DeadTopic(topic), ports.GroupDead)
	return letters
}

func (t *brokerT) consumeTopic(b ports.Broker, topic, group string) (message.Subscriber, <-chan *message.Message) {
	t.Helper()
	sub, err := b.Subscriber(group)
	require.NoError(t, err)
	msgs, err := sub.Subscribe(context.WithoutCancel(t.Context()), topic)
	require.NoError(t, err)
	return sub, msgs
}

func newMessage(subject, payload string) *message.Message {
	m := message.NewMessage(uuid.NewString(), []byte(payload))
	m.Metadata.Set(ports.MetaSubject, subject)
	return m
}

func newMessages(n int) message.Messages {
	msgs := make(message.Messages, n)
	for i := range msgs {
		msgs[i] = newMessage("subject", "{}")
	}
	return msgs
}

// receive returns the next message, which is neither acked nor nacked.
func (t *brokerT) receive(msgs <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, open := <-msgs:
		require.True(t, open, "the channel closed while a message was expected")
		return m
	case <-time.After(patience):
		require.FailNow(t, "no message came")
		return nil
	}
}

// receiveAcked acks n messages and returns them.
func (t *brokerT) receiveAcked(msgs <-chan *message.Message, n int) message.Messages {
	t.Helper()
	got := make(message.Messages, n)
	for i := range got {
		got[i] = t.receive(msgs)
		require.True(t, got[i].Ack())
	}
	return got
}

// requireNoneLeft proves by a message published last that no other one waits.
func (t *brokerT) requireNoneLeft(b ports.Broker, msgs <-chan *message.Message) {
	t.Helper()
	last := newMessage("last", "{}")
	require.NoError(t, b.Publish(topic, last))
	got := t.receive(msgs)
	require.Equal(t, last.UUID, got.UUID, "another message came before the one published last")
	require.True(t, got.Ack())
}

func (t *brokerT) requireFailure(want ports.PublishFailure, err error, msgs ...*message.Message) {
	t.Helper()
	var failed *ports.PublishError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Failed, len(msgs))
	for _, m := range msgs {
		require.Equal(t, want.String(), failed.Failed[m.UUID].Failure.String())
		require.Error(t, failed.Failed[m.UUID].Err)
	}
}

func (t *brokerT) requireClosed(msgs <-chan *message.Message) {
	t.Helper()
	select {
	case _, open := <-msgs:
		require.False(t, open, "a message came while the channel's end was expected")
	case <-time.After(patience):
		require.FailNow(t, "the channel did not close")
	}
}

// returns is what a call returns, whose own deadline must end it.
func (t *brokerT) returns(what string, call func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		require.FailNow(t, what+" hangs")
		return nil
	}
}
