package portstest

import (
	"context"
	"slices"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

// Whoever calls has set no deadline: the broker's own counts. Afterwards all
// goes on.
func noCallHangsWhenTheNetworkSwallows(t *brokerT) {
	b := t.open(group)
	sent, lost := newMessages(2), newMessages(1)
	require.NoError(t, b.Publish(topic, sent...))
	_, msgs := t.consume(b, group)
	require.Equal(t, sent[0].UUID, t.receiveAcked(msgs, 1)[0].UUID)
	another, err := b.Subscriber(group)
	require.NoError(t, err)
	ctx := context.WithoutCancel(t.Context())
	calls := map[string]func() error{
		"Publish": func() error { return b.Publish(topic, lost...) },
		"Ping":    func() error { return b.Ping(ctx) },
		"Prepare": func() error { return b.Prepare(ctx, []string{topic}, []string{group}) },
		"Topics":  func() error { _, err := b.Topics(ctx, []string{topic}, []string{group}); return err },
	}
	for name, err := range t.atOnce(calls) { // so that each may have a connection
		require.NoError(t, err, name)
	}

	t.stall(b)
	calls["Subscribe"] = func() error { _, err := another.Subscribe(ctx, topic); return err }
	failed := t.atOnce(calls)
	for name, err := range failed {
		require.Error(t, err, name)
	}
	t.requireFailure(ports.Unavailable, failed["Publish"], lost...)

	t.Restore(t.T, b)
	t.receiveUntil(msgs, t.publishWhenReached(b), sent[1].UUID)
}

// stall is Stall until the test's end at the latest, so that what hangs is told
// and does not hang the test's cleanup.
func (t *brokerT) stall(b ports.Broker) {
	t.Helper()
	t.Stall(t.T, b)
	t.Cleanup(func() { t.Restore(t.T, b) })
}

// atOnce makes calls, and returns what they return.
func (t *brokerT) atOnce(calls map[string]func() error) map[string]error {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	errs := map[string]error{}
	for name, call := range calls {
		wg.Go(func() {
			err := call()
			mu.Lock()
			defer mu.Unlock()
			errs[name] = err
		})
	}
	require.NoError(t, t.returns("one of the calls", func() error { wg.Wait(); return nil }))
	return errs
}

// receiveUntil acks what comes until each of some messages has.
func (t *brokerT) receiveUntil(msgs <-chan *message.Message, ids ...string) {
	t.Helper()
	for len(ids) > 0 {
		m := t.receive(msgs)
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == m.UUID })
		require.True(t, m.Ack())
	}
}

// One message is settled too late for the server to hear of it, one is not.
func closeDoesNotHangWhenTheNetworkSwallows(t *brokerT) {
	b := t.open(group)
	require.NoError(t, b.Publish(topic, newMessages(2)...))
	sub, msgs := t.consume(b, group)
	held, _ := t.receive(msgs), t.receive(msgs)

	t.stall(b)
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
	t.receiveUntil(msgs, t.publishWhenReached(b))
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
