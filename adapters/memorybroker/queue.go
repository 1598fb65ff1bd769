package memorybroker

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// delivery is one group's copy of a message.
type delivery struct {
	seq      uint64 // its place in the topic
	uuid     string
	payload  []byte
	metadata message.Metadata
	nacks    int
	due      time.Time // while delayed
}

// message returns what a handler gets, and may change.
func (d *delivery) message() *message.Message {
	m := message.NewMessage(d.uuid, bytes.Clone(d.payload))
	m.Metadata = maps.Clone(d.metadata)
	return m
}

// queue is what one group has yet to settle of one topic.
type queue struct {
	mu      sync.Mutex
	ready   []*delivery // by seq
	delayed []*delivery // by due
	inHand  int
	changed chan struct{} // closed when something was added
}

func newQueue() *queue {
	return &queue{changed: make(chan struct{})}
}

func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ready) + len(q.delayed) + q.inHand
}

func (q *queue) push(ds []*delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ready = append(q.ready, ds...)
	q.announce()
}

// take returns the first ready delivery. If there is none, it returns a channel
// that closes on a change, and the wait for the first delayed one, 0 for none.
func (q *queue) take(now time.Time) (*delivery, <-chan struct{}, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.delayed) > 0 && !q.delayed[0].due.After(now) {
		q.insertReady(pop(&q.delayed))
	}
	if len(q.ready) > 0 {
		q.inHand++
		return pop(&q.ready), nil, 0
	}
	if len(q.delayed) > 0 {
		return nil, q.changed, q.delayed[0].due.Sub(now)
	}
	return nil, q.changed, 0
}

// settle forgets a delivery that was taken.
func (q *queue) settle() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inHand--
}

// putBack returns a delivery that was taken to its place.
func (q *queue) putBack(d *delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inHand--
	q.insertReady(d)
	q.announce()
}

// delay makes a delivery that was taken ready at d.due.
func (q *queue) delay(d *delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inHand--
	at, _ := slices.BinarySearchFunc(q.delayed, d, func(a, b *delivery) int { return a.due.Compare(b.due) })
	q.delayed = slices.Insert(q.delayed, at, d)
	q.announce()
}

func (q *queue) insertReady(d *delivery) {
	at, _ := slices.BinarySearchFunc(q.ready, d, func(a, b *delivery) int { return cmp.Compare(a.seq, b.seq) })
	q.ready = slices.Insert(q.ready, at, d)
}

func pop(ds *[]*delivery) *delivery {
	d := (*ds)[0]
	(*ds)[0] = nil
	*ds = (*ds)[1:]
	return d
}

func (q *queue) announce() {
	close(q.changed)
	q.changed = make(chan struct{})
}
