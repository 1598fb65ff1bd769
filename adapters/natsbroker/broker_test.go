package natsbroker_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/adapters/natsbroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

// prepared returns a broker with the topic "topic" and the group "group". raw
// holds keys and values of its options.
func prepared(tb testing.TB, s stack.NATSStreams, raw ...any) *natsbroker.Broker {
	tb.Helper()
	options := map[string]any{}
	for i := 0; i < len(raw); i += 2 {
		options[fmt.Sprint(raw[i])] = raw[i+1]
	}
	b := open(tb, s, options)
	require.NoError(tb, b.Prepare(tb.Context(), []string{"topic"}, []string{"group"}))
	return b
}

func streamOf(s stack.NATSStreams, topic string) string {
	return strings.ReplaceAll(s.Prefix+topic, ".", "_")
}

func subscribe(tb testing.TB, b *natsbroker.Broker) (message.Subscriber, <-chan *message.Message) {
	tb.Helper()
	sub, err := b.Subscriber("group")
	require.NoError(tb, err)
	msgs, err := sub.Subscribe(context.WithoutCancel(tb.Context()), "topic")
	require.NoError(tb, err)
	return sub, msgs
}

func receive(t *testing.T, msgs <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, open := <-msgs:
		require.True(t, open, "the channel closed")
		return m
	case <-time.After(patience):
		require.FailNow(t, "no message came")
		return nil
	}
}

func requireFailure(t *testing.T, want ports.PublishFailure, err error, says string) {
	t.Helper()
	var failed *ports.PublishError
	require.ErrorAs(t, err, &failed)
	for _, m := range failed.Failed {
		require.Equal(t, want.String(), m.Failure.String(), m.Err)
		require.ErrorContains(t, m.Err, says)
	}
}

// stored returns how many messages the topic's stream holds.
func stored(t *testing.T, s stack.NATSStreams) int {
	t.Helper()
	stream, err := admin(t, s.Address).Stream(t.Context(), streamOf(s, "topic"))
	require.NoError(t, err)
	return int(stream.CachedInfo().State.Msgs) //nolint:gosec // a count
}

// A server may come later: only what needs it fails, and soon.
func TestANewBrokerNeedsNoServerYet(t *testing.T) {
	t.Parallel()
	s := stack.StartNATS(t, "")
	s.Kill()
	b := open(t, stack.NATSStreams{Address: s.Address(), Prefix: "test."}, nil)
	require.Error(t, b.Ping(t.Context()))
	require.Error(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	requireFailure(t, ports.Unavailable, b.Publish("topic", jobs(1)...), "not connected")
	sub, err := b.Subscriber("group")
	require.NoError(t, err)
	_, err = sub.Subscribe(t.Context(), "topic")
	require.Error(t, err)

	s.Start()
	require.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, patience, tick)
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	require.NoError(t, b.Publish("topic", jobs(1)...))
}

// A stream would acknowledge and drop it.
func TestPublishingWhereNoGroupConsumesIsRefused(t *testing.T) {
	t.Parallel()
	b := open(t, stack.NATS(t), nil)
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, nil))
	requireFailure(t, ports.Refused, b.Publish("topic", jobs(1)...), "no group")
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	require.NoError(t, b.Publish("topic", jobs(1)...), "it has one now")
}

func TestAStreamKeepsWhatAGroupHasYetToSettle(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b := prepared(t, s)
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"other"}))
	require.NoError(t, b.Publish("topic", jobs(3)...))
	sub, msgs := subscribe(t, b)
	for range 3 {
		require.True(t, receive(t, msgs).Ack())
	}
	require.NoError(t, sub.Close())
	require.Equal(t, 3, stored(t, s), "for the other group")

	sub, err := b.Subscriber("other")
	require.NoError(t, err)
	msgs, err = sub.Subscribe(t.Context(), "topic")
	require.NoError(t, err)
	require.True(t, receive(t, msgs).Ack())
	require.True(t, receive(t, msgs).Nack())
	require.NoError(t, sub.Close())
	require.Equal(t, 2, stored(t, s))
}

// Nothing makes room for it.
func TestAFullStreamMakesPublishingUnavailable(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b := prepared(t, s, "max_length", 2)
	require.NoError(t, b.Publish("topic", jobs(2)...))
	requireFailure(t, ports.Unavailable, b.Publish("topic", jobs(1)...), "maximum messages exceeded")
	require.Equal(t, 2, stored(t, s))

	sub, msgs := subscribe(t, b)
	require.True(t, receive(t, msgs).Ack())
	require.NoError(t, sub.Close())
	require.NoError(t, b.Publish("topic", jobs(1)...))
}

func TestWhatTheServerDoesNotAcceptIsRefused(t *testing.T) {
	t.Parallel()
	server := stack.StartNATS(t, "max_payload: 10000")
	b := prepared(t, stack.NATSStreams{Address: server.Address(), Prefix: "test."}, "max_message_bytes", 10_000)
	large, small := jobs(1)[0], jobs(1)[0]
	large.Payload = make([]byte, 9_990) // and its metadata
	var failed *ports.PublishError
	require.ErrorAs(t, b.Publish("topic", large, small), &failed)
	require.Len(t, failed.Failed, 1, "the other is published")
	require.Equal(t, ports.Refused, failed.Failed[large.UUID].Failure)
	require.ErrorContains(t, failed.Failed[large.UUID].Err, "max_payload")
}

// To the client it looks the same: nobody answers.
func TestAMissingStreamAndAMissingJetStreamAreToldApart(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b := prepared(t, s)
	require.NoError(t, b.Publish("topic", jobs(1)...))
	require.NoError(t, admin(t, s.Address).DeleteStream(t.Context(), streamOf(s, "topic")))
	requireFailure(t, ports.Unavailable, b.Publish("topic", jobs(2)...), "is gone")

	without := stack.StartNATS(t, "accounts: {BARE: {users: [{user: bare, password: bare}]}}\nno_auth_user: bare")
	b = open(t, stack.NATSStreams{Address: without.Address(), Prefix: "test."}, nil)
	require.ErrorContains(t, b.Ping(t.Context()), "enabled")
	requireFailure(t, ports.Unavailable, b.Publish("topic", jobs(2)...), "enabled")
}

// A server that lost its data is no reason to give up messages for good.
func TestATopicThatVanishedMakesPublishingUnavailable(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b, other, server := prepared(t, s), open(t, s, nil), admin(t, s.Address)
	_, msgs := subscribe(t, b)
	require.NoError(t, other.Publish("topic", jobs(1)...))
	require.True(t, receive(t, msgs).Ack())
	require.NoError(t, server.DeleteStream(t.Context(), streamOf(s, "topic")))
	require.NoError(t, server.DeleteConsumer(t.Context(), streamOf(s, "topic_dead"), "dead"))
	requireFailure(t, ports.Unavailable, b.Publish("topic", jobs(2)...), "is gone")
	requireFailure(t, ports.Unavailable, b.Publish("topic_dead", jobs(1)...), "is gone")
	requireFailure(t, ports.Refused, other.Publish("topic", jobs(2)...), "there is no stream")
	requireFailure(t, ports.Refused, other.Publish("topic_dead", jobs(1)...), "no group")

	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	sent := jobs(1)
	require.NoError(t, b.Publish("topic", sent...))
	m := receive(t, msgs)
	require.Equal(t, sent[0].UUID, m.UUID, "its consumers go on")
	require.True(t, m.Ack())
}

// The server's window for duplicates would drop it.
func TestWhatIsPublishedAgainOnPurposeComesAgain(t *testing.T) {
	t.Parallel()
	b := prepared(t, stack.NATS(t))
	_, msgs := subscribe(t, b)
	job := jobs(1)
	for range 2 {
		require.NoError(t, b.Publish("topic", job...))
		m := receive(t, msgs)
		require.Equal(t, job[0].UUID, m.UUID)
		require.True(t, m.Ack())
	}
}

// The client could keep it, and publish it when it is connected again.
func TestWhatWasUnavailableIsNotPublishedLater(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	proxy := stack.NewProxy(t, host(s.Address))
	b := prepared(t, s, "addresses", []any{proxy.Addr()})
	require.NoError(t, b.Publish("topic", jobs(1)...))
	proxy.Cut()
	require.Eventually(t, func() bool { return b.Ping(t.Context()) != nil }, patience, tick)
	requireFailure(t, ports.Unavailable, b.Publish("topic", jobs(3)...), "")
	proxy.Restore()
	require.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, patience, tick)
	require.Equal(t, 1, stored(t, s))
}

// There is more of it than the buffers between client and network take.
func TestABatchIntoANetworkThatSwallowsItIsUnavailable(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	proxy := stack.NewProxy(t, host(s.Address))
	b := prepared(t, s, "addresses", []any{proxy.Addr()}, "timeout", "2s")
	require.NoError(t, b.Publish("topic", jobs(1)...))
	msgs := jobs(64)
	for _, m := range msgs {
		m.Payload = make([]byte, 900<<10)
	}
	proxy.Stall()
	done := make(chan error, 1)
	go func() { done <- b.Publish("topic", msgs...) }()
	select {
	case err := <-done:
		requireFailure(t, ports.Unavailable, err, "")
	case <-time.After(patience):
		require.FailNow(t, "publishing hangs")
	}
	proxy.Restore()
}

func TestPrepareMakesNothingWhereItMayNot(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b := open(t, s, map[string]any{"create_topics": false})
	missing := b.Prepare(t.Context(), []string{"topic"}, []string{"group"})
	require.ErrorContains(t, missing, "stream "+streamOf(s, "topic_dead")+": it is not there")
	require.ErrorContains(t, missing, "stream "+streamOf(s, "topic")+": it is not there", "only the first is named")
	prepared(t, s)
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	require.ErrorContains(t, b.Prepare(t.Context(), []string{"topic"}, []string{"other"}), "durable other: it is not there")
}

// Each of its calls is answered in time, and all of them are not.
func TestPrepareAsAWholeTakesNoLongerThanTimeout(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	proxy := stack.NewProxy(t, host(s.Address))
	b := open(t, s, map[string]any{"addresses": []any{proxy.Addr()}, "timeout": "1s"})
	require.NoError(t, b.Ping(t.Context()))
	slow(t, proxy)
	topics := make([]string, 20)
	for i := range topics {
		topics[i] = "topic" + strconv.Itoa(i)
	}
	require.ErrorIs(t, b.Prepare(context.WithoutCancel(t.Context()), topics, []string{"group"}), context.DeadlineExceeded)
	require.NoError(t, b.Prepare(t.Context(), topics[:1], []string{"group"}), "it is made by and by")
}

func TestPrepareLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b := prepared(t, s, "max_length", 7, "lease", "7s")
	require.NoError(t, prepared(t, s).Publish("topic", jobs(1)...))
	stream, err := admin(t, s.Address).Stream(t.Context(), streamOf(s, "topic"))
	require.NoError(t, err)
	require.EqualValues(t, 7, stream.CachedInfo().Config.MaxMsgs)
	durable, err := stream.Consumer(t.Context(), "group")
	require.NoError(t, err)
	require.Equal(t, 7*time.Second, durable.CachedInfo().Config.AckWait)
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
}

// A stream's name has no dots.
func TestTopicsThatDifferByADotAreNotTakenForOne(t *testing.T) {
	t.Parallel()
	b := open(t, stack.NATS(t), nil)
	require.NoError(t, b.Prepare(t.Context(), []string{"a.b"}, []string{"group"}))
	require.ErrorContains(t, b.Prepare(t.Context(), []string{"a_b"}, []string{"group"}), "another topic has its name")
	requireFailure(t, ports.Refused, b.Publish("a_b", jobs(1)...), "another topic has its name")
	require.NoError(t, b.Publish("a.b", jobs(1)...))
}

func TestNamesThatTheServerDoesNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	b := prepared(t, stack.NATS(t), "groups", map[string]any{"group": "acme"})
	for _, name := range []string{"", "a b", "a..b", "*", "тема", strings.Repeat("x", 300)} {
		require.ErrorContains(t, b.Prepare(t.Context(), []string{name}, []string{"group"}), "letters, digits", name)
		requireFailure(t, ports.Refused, b.Publish(name, jobs(1)...), "letters, digits")
	}
	require.ErrorContains(t, b.Prepare(t.Context(), []string{"topic"}, []string{"a.b"}), "letters, digits")
	states, err := b.Topics(t.Context(), []string{"topic"}, []string{"group", "acme"})
	require.NoError(t, err)
	require.True(t, states[0].Groups[0].Exists, "by the name that the options give it")
	require.True(t, states[0].Groups[1].Exists)
}
