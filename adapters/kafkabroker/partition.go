package kafkabroker

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxHeldBack is how many nacked messages of a partition wait for their retry in
// memory; with more, no new ones of the partition are handed out.
const maxHeldBack = 256

// delivery is a message on its way to a handler.
type delivery struct {
	record  *kgo.Record
	part    *partition
	deaths  int // of consumers that had it in hand and never answered
	counted bool
	nacks   int
	due     time.Time // while it is held back
	settled bool
}

// partition is one that this subscription consumes, from its assignment on until
// it is revoked or lost. The subscription's lock guards it.
type partition struct {
	id       int32
	handling context.Context // of its messages; ends when they are given up
	giveUp   context.CancelFunc
	tag      *tag

	fresh     []*delivery // not handed out yet, in order
	heldBack  []*delivery // nacked, by due
	unsettled []*delivery // what was handed out and, after the first, also what is settled
	settledTo *kgo.Record // the last one before those
	inHand    int
	blocked   bool // too many are held back

	deaths   int  // of its first message, until that is taken
	suspects int  // how many more are handed out one by one
	counting bool // its head is about to be handed out
	counted  bool // what is committed says that something is in hand

	closed chan struct{} // closed when nothing more is handed out
	idle   chan struct{} // closed after that, when nothing is in hand
	lost   bool          // somebody else's now: nothing more is committed
}

// tag is the context of a partition's records, by which those are told from the
// ones of an assignment before.
type tag struct {
	context.Context
	part *partition
}

func newPartition(ctx context.Context, id int32) *partition {
	p := &partition{id: id, closed: make(chan struct{}), idle: make(chan struct{})}
	p.handling, p.giveUp = context.WithCancel(ctx)
	p.tag = &tag{context.Background(), p}
	return p
}

// take returns the next delivery to hand out: one whose retry is due, or a fresh one.
func (p *partition) take(now time.Time) *delivery {
	var d *delivery
	switch {
	case p.counting, p.suspects > 0 && p.inHand > 0:
		return nil
	case len(p.heldBack) > 0 && !p.heldBack[0].due.After(now):
		d = pop(&p.heldBack)
	case len(p.fresh) > 0 && !p.blocked:
		d = pop(&p.fresh)
		d.deaths, p.deaths = p.deaths, 0
		p.unsettled = append(p.unsettled, d)
	default:
		return nil
	}
	p.inHand++
	return d
}

// settle forgets a delivery that was taken, and returns the record up to which
// all are settled, if that has changed.
func (p *partition) settle(d *delivery) *kgo.Record {
	p.release()
	p.suspects = max(p.suspects-1, 0)
	d.settled = true
	var mark *kgo.Record
	for len(p.unsettled) > 0 && p.unsettled[0].settled {
		mark = pop(&p.unsettled).record
		p.settledTo = mark
	}
	d.record.Key, d.record.Value, d.record.Headers = nil, nil, nil // it may wait for those before it
	return mark
}

// holdBack makes a delivery that was taken due again.
func (p *partition) holdBack(d *delivery, due time.Time) {
	p.release()
	d.due = due
	at, _ := slices.BinarySearchFunc(p.heldBack, d, func(a, b *delivery) int { return a.due.Compare(b.due) })
	p.heldBack = slices.Insert(p.heldBack, at, d)
}

// release notes that a delivery is in no one's hand any more.
func (p *partition) release() {
	p.inHand--
	p.closeIfIdle()
}

// close keeps what is not handed out from being so.
func (p *partition) close() {
	close(p.closed)
	p.fresh, p.heldBack = nil, nil
	p.closeIfIdle()
}

func (p *partition) closeIfIdle() {
	if p.inHand == 0 && p.isClosed() {
		close(p.idle)
	}
}

func (p *partition) isClosed() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

func pop(ds *[]*delivery) *delivery {
	d := (*ds)[0]
	(*ds)[0] = nil
	*ds = (*ds)[1:]
	return d
}
