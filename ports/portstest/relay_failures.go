package portstest

import (
	"slices"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
	"lectern/ports"
)

// failingOnly fails one entry alone, in the same way each time.
func (t *relayT) failingOnly(id uuid.UUID, failure ports.PublishFailure) {
	t.broker.failing(func(_ domain.Queue, tried string) ports.PublishFailure {
		if tried == id.String() {
			return failure
		}
		return 0
	})
}

func relayBuriesRefused(t *relayT) {
	ids := t.add(relayCourse(1), 3)
	others := t.add(relayCourse(2), 2)
	t.failingOnly(ids[1], ports.Refused)
	t.start(RelayConfig{})
	t.settled()
	require.ElementsMatch(t, append([]uuid.UUID{ids[0], ids[2]}, others...), t.broker.ids())
	dead := t.Entry(t.T, ids[1])
	require.NotNil(t, dead.DeadAt)
	require.Equal(t, 1, dead.Attempts)
	require.Contains(t, dead.LastError, "told to fail")
	require.Equal(t, 1, t.broker.tried[ids[1].String()])
}

// relayRetries sends one entry at a time: what leaves in the same batch as one
// that fails is not held up by it, by one of the engines.
func relayRetries(t *relayT) {
	ids := t.add(relayCourse(1), 3)
	others := t.add(relayCourse(2), 2)
	left := 2
	t.broker.failing(func(_ domain.Queue, tried string) ports.PublishFailure {
		if tried != ids[1].String() || left == 0 {
			return 0
		}
		left--
		return ports.Retryable
	})
	t.start(RelayConfig{BatchSize: 1})
	t.settled()
	t.inOrder(map[uuid.UUID][]uuid.UUID{relayCourse(1): ids, relayCourse(2): others})
	t.noDoubles()
	got := t.broker.ids()
	require.Less(t, slices.Index(got, others[1]), slices.Index(got, ids[1]), "the other course waited")
	again := t.Entry(t.T, ids[1])
	require.Equal(t, 2, again.Attempts)
	require.Contains(t, again.LastError, "told to fail")
	require.Zero(t, t.Entry(t.T, ids[2]).Attempts)
}

func relayGivesUp(t *relayT) {
	ids := t.add(relayCourse(1), 2)
	t.failingOnly(ids[0], ports.Retryable)
	t.start(RelayConfig{BatchSize: 1, MaxAttempts: 3})
	t.settled()
	require.Equal(t, ids[1:], t.broker.ids())
	dead := t.Entry(t.T, ids[0])
	require.NotNil(t, dead.DeadAt)
	require.Equal(t, 3, dead.Attempts)
	require.Equal(t, 3, t.broker.tried[ids[0].String()])
}

// relayBlocks sends one at a time, as relayRetries does.
func relayBlocks(t *relayT) {
	ids := t.add(relayCourse(1), 3)
	t.failingOnly(ids[0], ports.Refused)
	others := t.add(relayCourse(2), 2)
	t.start(RelayConfig{BatchSize: 1, OnDead: domain.OnDeadBlock})
	t.until("the other course's", func() bool { return t.broker.has(others...) })
	require.Equal(t, others, t.broker.ids())
	require.Eventually(t, func() bool { return t.Pending(t.T) == 2 }, patience, tick, "two are held")

	t.broker.failing(nil)
	t.Redrive(t.T, ids[0])
	t.settled()
	require.Equal(t, append(others, ids...), t.broker.ids())
	t.noDoubles()
}

func relayRedrives(t *relayT) {
	ids := t.add(relayCourse(1), 1)
	t.failingOnly(ids[0], ports.Refused)
	t.start(RelayConfig{})
	t.settled()
	later := t.add(relayCourse(1), 2) // with the outbox's numbers far ahead
	t.settled()
	t.broker.failing(nil)
	t.Redrive(t.T, ids[0])
	t.until("the redriven entry", func() bool { return t.broker.has(ids...) })
	t.settled()
	require.Equal(t, append(later, ids...), t.broker.ids())
	require.Zero(t, t.Entry(t.T, ids[0]).Attempts, "it is as if new")
}
