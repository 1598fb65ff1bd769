package portstest

import (
	"context"
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

// Whoever calls has set no deadline: the broker's own counts. Afterwards all
// goes on.
func noCallHangsWhenTheNetworkSwallows(t *brokerT) {
	b := t.open(group)
	sent := newMessages(2)
	require.NoError(t, b.Publish(topic, sent...))
	_, msgs := t.consume(b, group)
	require.Equal(t, sent[0].UUID, t.receiveAcked(msgs, 1)[0].UUID)
	another, err := b.Subscriber(group)
	require.NoError(t, err)

	t.Stall(t.T, b)
	ctx, lost := context.WithoutCancel(t.Context()), newMessages(1)
	var failed error
	t.atOnce(map[string]func() error{
		"Publish":   func() error { failed = b.Publish(topic, lost...); return failed },
		"Ping":      func() error { return b.Ping(ctx) },
		"Prepare":   func() error { return b.Prepare(ctx, []string{topic}, []string{group}) },
		"Topics":    func() error { _, err := b.Topics(ctx, []string{topic}, []string{group}); return err },
		"Subscribe": func() error { _, err := another.Subscribe(ctx, topic); return err },
	})
	t.requireFailure(ports.Unavailable, failed, lost...)

	t.Restore(t.T, b)
	t.publishWhenReached(b)
	for missing := true; missing; {
		m := t.receive(msgs)
		missing = m.UUID != sent[1].UUID
		require.True(t, m.Ack())
	}
}

// atOnce requires calls to return, with an error.
func (t *brokerT) atOnce(calls map[string]func() error) {
	t.Helper()
	var wg sync.WaitGroup
	for name, call := range calls {
		wg.Go(func() { assert.Error(t, call(), name) })
	}
	require.NoError(t, t.returns("one of the calls", func() error { wg.Wait(); return nil }))
}

// One message is settled too late for the server to hear of it, one is not.
func closeDoesNotHangWhenTheNetworkSwallows(t *brokerT) {
	b := t.open(group)
	require.NoError(t, b.Publish(topic, newMessages(2)...))
	sub, msgs := t.consume(b, group)
	held, _ := t.receive(msgs), t.receive(msgs)

	t.Stall(t.T, b)
	require.True(t, held.Ack())
	_ = t.returns("closing the consumer", sub.Close)
	t.requireClosed(msgs)
	_ = t.returns("closing the broker", b.Close)
}

func publishingWhileDownIsUnavailable(t *brokerT) {
	b := t.open(group)
	_, msgs := t.consume(b, group)
	before, lost := newMessages(1), newMessages(2)
	require.NoError(t, b.Publish(topic, before...))
	require.Equal(t, before.IDs(), t.receiveAcked(msgs, 1).IDs())

	t.server.Stop(t.T)
	t.requireFailure(ports.Unavailable, t.returns("Publish", func() error { return b.Publish(topic, lost...) }), lost...)
	require.Error(t, t.returns("Ping", func() error { return b.Ping(context.WithoutCancel(t.Context())) }))

	t.server.Start(t.T)
	after := t.publishWhenReached(b)
	for missing := true; missing; {
		m := t.receive(msgs)
		missing = m.UUID != after
		require.True(t, m.Ack())
	}
}

// publishWhenReached publishes a message, however often that takes, and returns its id.
func (t *brokerT) publishWhenReached(b ports.Broker) string {
	t.Helper()
	m := newMessage("subject", "{}")
	require.Eventually(t, func() bool { return b.Publish(topic, m) == nil }, patience, tick)
	return m.UUID
}

// The process that publishes and those that consume go on, and aren't told.
func restartInMidStreamLosesNothing(t *brokerT) {
	publisher, first, second := t.open(group), t.open(group), t.open(group)
	s := t.startStream(publisher)
	s.join(first)
	s.join(second)
	s.await(4 * streamLag)
	for range 2 {
		t.server.Stop(t.T)
		s.awaitFailure()
		t.server.Start(t.T)
		s.await(4 * streamLag)
	}
	s.finish()
}
