package portstest

import (
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func prepareMayRunAgainAndAtOnce(t *brokerT) {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	brokers := make([]ports.Broker, len(errs))
	for i := range errs {
		b := t.Open(t.T)
		brokers[i] = b
		wg.Go(func() { errs[i] = b.Prepare(t.Context(), []string{topic}, []string{group}) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	b := brokers[0]
	require.NoError(t, b.Publish(topic, newMessages(3)...))
	require.NoError(t, b.Prepare(t.Context(), []string{topic, "another"}, []string{group, other}))
	_, msgs := t.consume(b, group)
	t.receiveAcked(msgs, 3)
	t.requireNoneLeft(b, msgs)
}

// A dead topic has the group that keeps it, none of the topic's, and no dead
// topic of its own, even when it is prepared by its name.
func prepareMakesTheDeadTopics(t *brokerT) {
	b := t.open(group)
	dead := ports.DeadTopic(topic)
	require.NoError(t, b.Prepare(t.Context(), []string{dead}, nil))
	states, err := b.Topics(t.Context(), []string{dead, ports.DeadTopic(dead)}, []string{ports.GroupDead, group})
	require.NoError(t, err)
	require.True(t, states[0].Exists)
	require.True(t, states[0].Groups[0].Exists)
	require.False(t, states[0].Groups[1].Exists)
	require.False(t, states[1].Exists)

	sent := newMessages(2)
	require.NoError(t, b.Publish(dead, sent...))
	require.Equal(t, sent.IDs(), t.receiveAcked(t.consumeDead(b), len(sent)).IDs())
}

// What is in hand is pending still.
func topicsReportsWhatThereIs(t *brokerT) {
	b := t.Open(t.T)
	t.requireTopics(b, ports.TopicState{Topic: topic, Groups: []ports.GroupState{{Group: other}, {Group: group}, {Group: "unknown"}}})

	require.NoError(t, b.Prepare(t.Context(), []string{topic}, []string{group, other}))
	require.NoError(t, b.Publish(topic, newMessages(5)...))
	_, msgs := t.consume(b, group)
	t.receiveAcked(msgs, 2)
	t.receive(msgs)
	t.requireTopics(b,
		ports.TopicState{Topic: topic, Exists: true, Groups: []ports.GroupState{
			{Group: other, Exists: true, Pending: 5}, {Group: group, Exists: true, Pending: 3}, {Group: "unknown"},
		}},
		ports.TopicState{Topic: "unknown", Groups: []ports.GroupState{{Group: other}, {Group: group}, {Group: "unknown"}}},
	)
	states, err := b.Topics(t.Context(), []string{topic}, nil)
	require.NoError(t, err)
	require.Len(t, states, 1)
	require.True(t, states[0].Exists, "without asking for a group")
	require.NotEmpty(t, states[0].Detail)
}

// requireTopics waits until that is what there is, for an ack may take a while
// to be stored. What Detail says is the broker's own.
func (t *brokerT) requireTopics(b ports.Broker, want ...ports.TopicState) {
	t.Helper()
	topics := make([]string, len(want))
	for i, state := range want {
		topics[i] = state.Topic
	}
	groups := make([]string, len(want[0].Groups))
	for i, state := range want[0].Groups {
		groups[i] = state.Group
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		got, err := b.Topics(t.Context(), topics, groups)
		require.NoError(c, err)
		for i := range got {
			got[i].Detail = ""
		}
		require.Equal(c, want, got)
	}, patience, tick)
}
