package portstest

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func eachGroupGetsEveryMessage(t *brokerT) {
	b := t.open(group, other)
	sent, last := newMessages(10), newMessage("last", "{}")
	require.NoError(t, b.Publish(topic, sent...))
	consumers := map[string]<-chan *message.Message{}
	for _, g := range []string{group, other} {
		_, consumers[g] = t.consume(b, g)
		require.Equal(t, sent.IDs(), t.receiveAcked(consumers[g], len(sent)).IDs(), g)
	}
	require.NoError(t, b.Publish(topic, last))
	for _, msgs := range consumers {
		require.Equal(t, last.UUID, t.receiveAcked(msgs, 1)[0].UUID, "a message came twice")
	}
}

func consumersShareWithoutDoubles(t *brokerT) {
	b := t.open(group)
	sent := newMessages(100)
	require.NoError(t, b.Publish(topic, sent...))

	_, first := t.consume(b, group)
	held := t.receive(first) // whoever holds one doesn't keep the rest
	_, second := t.consume(b, group)
	got := append(t.receiveAcked(second, 1), held)
	require.True(t, held.Ack())
	for len(got) < len(sent) {
		got = append(got, t.receiveAckedOfEither(first, second))
	}
	require.ElementsMatch(t, sent.IDs(), got.IDs())

	last := newMessage("last", "{}")
	require.NoError(t, b.Publish(topic, last))
	require.Equal(t, last.UUID, t.receiveAckedOfEither(first, second).UUID, "a message came twice")
}

func (t *brokerT) receiveAckedOfEither(first, second <-chan *message.Message) *message.Message {
	t.Helper()
	var m *message.Message
	select {
	case m = <-first:
	case m = <-second:
	case <-time.After(patience):
	}
	require.NotNil(t, m, "no message came")
	require.True(t, m.Ack())
	return m
}

// Messages are handed out in order though up to BrokerConcurrency are in hand at once.
func orderIsKeptPerSubject(t *brokerT) {
	const subjects, batches, batch = 5, 10, 20
	b := t.open(group)
	_, msgs := t.consume(b, group)
	for i := range batches {
		var sent message.Messages
		for j := range batch {
			n := i*batch + j
			sent = append(sent, newMessage(strconv.Itoa(n%subjects), strconv.Itoa(n/subjects)))
		}
		require.NoError(t, b.Publish(topic, sent...))
	}

	next := map[string]int{}
	var inHand message.Messages
	for range batches * batch {
		m := t.receive(msgs)
		subject := m.Metadata.Get(ports.MetaSubject)
		require.Equal(t, strconv.Itoa(next[subject]), string(m.Payload), "of subject %s", subject)
		next[subject]++
		if inHand = append(inHand, m); len(inHand) == BrokerConcurrency {
			slices.Reverse(inHand) // settled in another order than handed out
			for _, m := range inHand {
				require.True(t, m.Ack())
			}
			inHand = nil
		}
	}
}

// Each is of a process of its own. Of a message that comes again, the first
// delivery counts.
func orderIsKeptBySeveral(t *brokerT) {
	const consumers, subjects, perSubject = 3, 10, 50
	b := t.open(group)
	seen := &sequences{next: map[string]int{}, missing: subjects * perSubject, complete: make(chan struct{})}
	for range consumers {
		_, msgs := t.consume(t.open(group), group)
		go func() {
			for m := range msgs {
				seen.add(t, m)
				m.Ack()
			}
		}()
	}
	for n := range perSubject {
		var sent message.Messages
		for subject := range subjects {
			sent = append(sent, newMessage(strconv.Itoa(subject), strconv.Itoa(n)))
		}
		require.NoError(t, b.Publish(topic, sent...))
	}
	select {
	case <-seen.complete:
	case <-time.After(patience):
		require.FailNow(t, "messages are missing")
	}
}

// sequences is how far the numbers in each subject's payloads have come.
type sequences struct {
	mu       sync.Mutex
	next     map[string]int
	missing  int
	complete chan struct{} // closed when none is missing
}

func (s *sequences) add(t *brokerT, m *message.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	subject := m.Metadata.Get(ports.MetaSubject)
	next := s.next[subject]
	n, err := strconv.Atoi(string(m.Payload))
	if err != nil || n < next {
		return // again; payloads that aren't kept are another test's
	}
	assert.Equal(t, next, n, "of subject %s", subject)
	s.next[subject] = n + 1
	if s.missing -= n + 1 - next; s.missing == 0 {
		close(s.complete)
	}
}

func consumersJoinAndLeaveWithoutLoss(t *brokerT) {
	const rounds, perRound = 10, 30
	b := t.open(group)
	sent := newMessages(rounds * perRound)
	got := map[string]bool{}
	for i := range rounds {
		require.NoError(t, b.Publish(topic, sent[i*perRound:(i+1)*perRound]...))
		sub, msgs := t.consume(b, group)
		for range perRound / 2 {
			m := t.receive(msgs)
			got[m.UUID] = true
			require.True(t, m.Ack())
		}
		require.NoError(t, sub.Close())
		t.requireClosed(msgs)
	}

	_, msgs := t.consume(b, group)
	for len(got) < len(sent) {
		m := t.receive(msgs)
		got[m.UUID] = true
		require.True(t, m.Ack())
	}
	for _, m := range sent {
		require.True(t, got[m.UUID])
	}
}

// One consumer stays, others come and go, while a stream flows.
func consumersJoinAndLeaveInMidStream(t *brokerT) {
	b := t.open(group)
	s := t.startStream(b)
	s.join(b)
	for range 5 {
		s.await(streamLag)
		sub := s.join(b)
		s.await(streamLag)
		require.NoError(t, sub.Close())
	}
	s.finish()
}

func subscribingUnpreparedFails(t *brokerT) {
	b := t.open(group)
	for name, to := range map[string]struct{ topic, group string }{
		"an unknown topic": {"unknown", group},
		"an unknown group": {topic, "unknown"},
	} {
		sub, err := b.Subscriber(to.group)
		require.NoError(t, err)
		_, err = sub.Subscribe(t.Context(), to.topic)
		require.Error(t, err, name)
	}
	sub, err := b.Subscriber(group)
	require.NoError(t, err)
	_, err = sub.Subscribe(context.WithoutCancel(t.Context()), topic)
	require.NoError(t, err)
	_, err = sub.Subscribe(context.WithoutCancel(t.Context()), topic)
	require.Error(t, err, "twice to one topic")
}
