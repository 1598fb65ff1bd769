package portstest

import (
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// relayIsReplaced stops relay after relay in mid-stream, as a deployment does.
func relayIsReplaced(t *relayT) {
	all := t.backlog(8, 3, 10)
	for relays := 1; t.Pending(t.T) > 0; relays++ {
		r := t.start(RelayConfig{BatchSize: 20})
		before := len(t.broker.all())
		t.until("some more", func() bool { return len(t.broker.all()) > min(before+30, 8*3*10-1) })
		r.stop()
	}
	t.inOrder(all)
	t.noDoubles()
}

func relayIsSevered(t *relayT) {
	t.start(RelayConfig{BatchSize: 20})
	all := map[uuid.UUID][]uuid.UUID{}
	for round := range 4 {
		for c := range 8 {
			all[relayCourse(c)] = append(all[relayCourse(c)], t.addTo(relayCourse(c), 5, RelayQueues()...)...)
		}
		t.until("some more", func() bool { return len(t.broker.ids()) > round*8*5 })
		t.Sever(t.T)
	}
	t.settled()
	t.inOrder(all)
	t.Logf("%d doubles", len(t.broker.all())-len(t.broker.ids()))
}

func relaysShare(t *relayT) {
	all := t.backlog(8, 2, 5)
	for range 3 {
		t.start(RelayConfig{BatchSize: 3})
	}
	for course := range all {
		all[course] = append(all[course], t.addTo(course, 5, RelayQueues()...)...)
	}
	t.settled()
	t.inOrder(all)
	t.noDoubles()
}

// relaySeesLate has a writer draw the first numbers and commit last.
func relaySeesLate(t *relayT) {
	late, commit := t.begin(relayCourse(1), 2, domain.QueueSummarization)
	t.start(RelayConfig{})
	var early []uuid.UUID
	for range 3 {
		early = append(early, t.add(relayCourse(2), 3)...)
		t.until("what was committed first", func() bool { return t.broker.has(early...) })
	}
	commit()
	t.settled()
	require.Equal(t, append(early, late...), t.broker.ids())
	t.noDoubles()
}
