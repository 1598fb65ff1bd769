package portstest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
	"lectern/ports"
)

// relayBroker is a broker that fails as it is told to, and knows what it took.
type relayBroker struct {
	ports.Broker

	mu      sync.Mutex
	fail    func(queue domain.Queue, id string) ports.PublishFailure // 0 for none
	tried   map[string]int                                           // how often each message was
	took    []taken
	changed chan struct{} // closed by the next publish
}

// taken is a message that the broker took.
type taken struct {
	queue      domain.Queue
	course, id uuid.UUID
	at         time.Time
}

// Publish takes what is not to fail.
func (b *relayBroker) Publish(topic string, msgs ...*message.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() { close(b.changed); b.changed = make(chan struct{}) }()
	failed := map[string]ports.MessageError{}
	var passed []*message.Message
	for _, m := range msgs {
		if b.tried == nil {
			b.tried = map[string]int{}
		}
		b.tried[m.UUID]++
		if failure := b.failure(topic, m.UUID); failure != 0 {
			failed[m.UUID] = ports.MessageError{Failure: failure, Err: errors.New("told to fail")}
		} else {
			passed = append(passed, m)
		}
	}
	if len(passed) > 0 {
		if err := b.Broker.Publish(topic, passed...); err != nil {
			return err
		}
	}
	for _, m := range passed {
		b.took = append(b.took, taken{
			domain.Queue(topic), uuid.MustParse(m.Metadata.Get(ports.MetaSubject)), uuid.MustParse(m.UUID), time.Now(),
		})
	}
	if len(failed) > 0 {
		return &ports.PublishError{Failed: failed}
	}
	return nil
}

func (b *relayBroker) failure(topic, id string) ports.PublishFailure {
	if b.fail == nil {
		return 0
	}
	return b.fail(domain.Queue(topic), id)
}

// failing says what becomes of each message from now on.
func (b *relayBroker) failing(fail func(queue domain.Queue, id string) ports.PublishFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = fail
}

// all returns what was taken so far.
func (b *relayBroker) all() []taken {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.took)
}

// ids returns the entries that were taken, doubles left out.
func (b *relayBroker) ids() []uuid.UUID {
	ids := []uuid.UUID{}
	for _, m := range b.all() {
		if !slices.Contains(ids, m.id) {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// has tells whether entries were taken.
func (b *relayBroker) has(ids ...uuid.UUID) bool {
	got := b.ids()
	return !slices.ContainsFunc(ids, func(id uuid.UUID) bool { return !slices.Contains(got, id) })
}

// until waits for something that publishing brings about.
func (t *relayT) until(what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		t.broker.mu.Lock()
		changed := t.broker.changed
		t.broker.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("never came: %s", what)
		}
	}
}

// relayCourse is the id of a course, one of those in its partition.
func relayCourse(partition int) uuid.UUID { return uuid.UUID{6: 0x40, 8: 0x80, 15: byte(partition)} }

// add commits n entries of a course.
func (t *relayT) add(course uuid.UUID, n int) []uuid.UUID {
	t.Helper()
	return t.addTo(course, n, domain.QueueSummarization)
}

// addTo commits n entries that go to queues in turn.
func (t *relayT) addTo(course uuid.UUID, n int, queues ...domain.Queue) []uuid.UUID {
	t.Helper()
	ids, commit := t.begin(course, n, queues...)
	commit()
	return ids
}

func (t *relayT) begin(course uuid.UUID, n int, queues ...domain.Queue) ([]uuid.UUID, func()) {
	t.Helper()
	var entries []RelayEntry
	for i := range n {
		entries = append(entries, RelayEntry{Queue: queues[i%len(queues)]})
	}
	return t.Begin(t.T, course, entries...)
}

// settled waits until nothing is pending.
func (t *relayT) settled() {
	t.Helper()
	require.Eventually(t, func() bool { return t.Pending(t.T) == 0 }, patience, tick, "entries are still pending")
}

// inOrder checks that of each course's entries, given in the order of their
// commits, each was taken, and first taken in order on its queue.
func (t *relayT) inOrder(courses map[uuid.UUID][]uuid.UUID) {
	t.Helper()
	queue := map[uuid.UUID]domain.Queue{}
	got := map[uuid.UUID]map[domain.Queue][]uuid.UUID{}
	for _, m := range t.broker.all() {
		if _, double := queue[m.id]; double {
			continue
		}
		queue[m.id] = m.queue
		if got[m.course] == nil {
			got[m.course] = map[domain.Queue][]uuid.UUID{}
		}
		got[m.course][m.queue] = append(got[m.course][m.queue], m.id)
	}
	for course, ids := range courses {
		want := map[domain.Queue][]uuid.UUID{}
		for _, id := range ids {
			require.Contains(t, queue, id, "lost")
			want[queue[id]] = append(want[queue[id]], id)
		}
		require.Equal(t, want, got[course], "course %s", course)
	}
}

// noDoubles checks that each message was taken once.
func (t *relayT) noDoubles() {
	t.Helper()
	require.Len(t, t.broker.all(), len(t.broker.ids()), "doubles")
}
