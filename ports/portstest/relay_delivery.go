package portstest

import (
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
	"lectern/ports"
)

// backlog commits entries of several courses in turn.
func (t *relayT) backlog(courses, rounds, n int) map[uuid.UUID][]uuid.UUID {
	t.Helper()
	all := map[uuid.UUID][]uuid.UUID{}
	for c := range courses {
		all[relayCourse(c)] = nil
	}
	for range rounds {
		for course := range all {
			all[course] = append(all[course], t.addTo(course, n, RelayQueues()...)...)
		}
	}
	return all
}

func relayDelivers(t *relayT) {
	all := t.backlog(8, 3, 4)
	t.start(RelayConfig{})
	t.settled()
	t.inOrder(all)
	t.noDoubles()
	for _, ids := range all {
		e := t.Entry(t.T, ids[0])
		require.NotNil(t, e.ProcessedAt)
		require.Zero(t, e.Attempts)
	}
}

func relayIsWoken(t *relayT) {
	r := t.start(RelayConfig{Poll: time.Hour})
	for range 5 { // the first may come before it looks at all
		ids := t.add(relayCourse(2), 2)
		r.wake()
		t.until("what it was woken for", func() bool { return t.broker.has(ids...) })
	}
}

func relayPolls(t *relayT) {
	t.start(RelayConfig{})
	for range 3 {
		ids := t.add(relayCourse(2), 2)
		t.until("what nobody told of", func() bool { return t.broker.has(ids...) })
	}
}

func relayIsAlive(t *relayT) {
	r := t.start(RelayConfig{Poll: 100 * time.Millisecond})
	require.Eventually(t, r.Alive, patience, tick)
	require.Eventually(t, func() bool { return r.PollInterval() > 100*time.Millisecond }, patience, tick, "it looks as often as ever")
	r.wake()
	ids := t.add(relayCourse(2), 1)
	r.wake()
	t.until("an entry", func() bool { return t.broker.has(ids...) })
	require.True(t, r.Alive())
}

func relayDelays(t *relayT) {
	course := relayCourse(3)
	ids, commit := t.Begin(t.T, course, RelayEntry{Queue: domain.QueueSummarization, Delay: time.Second}, RelayEntry{Queue: domain.QueueSummarization})
	added := time.Now()
	commit()
	t.start(RelayConfig{})
	t.settled()
	require.Equal(t, []uuid.UUID{ids[1], ids[0]}, t.broker.ids())
	require.GreaterOrEqual(t, t.broker.all()[1].at.Sub(added), 900*time.Millisecond, "sent too early")
	t.noDoubles()
}

func relayOutlastsTheBroker(t *relayT) {
	all := t.backlog(4, 2, 3)
	left := 7 // more failures than an entry has attempts
	t.broker.failing(func(domain.Queue, string) ports.PublishFailure {
		if left--; left >= 0 {
			return ports.Unavailable
		}
		return 0
	})
	t.start(RelayConfig{BatchSize: 1, MaxAttempts: 2})
	t.settled()
	t.inOrder(all)
	t.noDoubles()
	for _, ids := range all {
		for _, id := range ids {
			require.Zero(t, t.Entry(t.T, id).Attempts)
		}
	}
}

func relayServesOtherQueues(t *relayT) {
	down := t.addTo(relayCourse(1), 2, domain.QueueStructureAnalysis)
	up := t.addTo(relayCourse(1), 2, domain.QueueSummarization)
	t.broker.failing(func(queue domain.Queue, _ string) ports.PublishFailure {
		if queue == domain.QueueStructureAnalysis {
			return ports.Unavailable
		}
		return 0
	})
	t.start(RelayConfig{})
	t.until("the other queue's", func() bool { return t.broker.has(up...) })
	t.broker.failing(nil)
	t.settled()
	require.Equal(t, append(up, down...), t.broker.ids())
	require.Zero(t, t.Entry(t.T, down[0]).Attempts)
}
