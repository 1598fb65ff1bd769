package natsbroker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

const (
	quick    = 100 * time.Millisecond // see ask
	stuck    = time.Second            // see unstick
	firstGap = 50 * time.Millisecond  // between requests that fail
	lastGap  = 5 * time.Second
)

// subscription hands out one topic's messages to one consumer. What is not said
// to be of others is run's alone.
type subscription struct {
	broker       *Broker
	opts         Options
	log          *slog.Logger
	topic, group string
	lease        time.Duration
	pull         *puller
	out          chan *message.Message

	queue  []*delivery // not handed out yet
	held   *holdings   // these, and those in hand
	inHand int
	moved  time.Time // when the last one was handed out

	size    int  // how many to hold
	idle    bool // there was nothing of late
	gap     time.Duration
	waiting <-chan time.Time // nil, or until when not to ask
	failing bool

	settled chan *delivery

	stopping context.Context // ends: nothing more is handed out
	stop     context.CancelFunc
	handling context.Context // the messages' context; ends when they are given up
	giveUp   context.CancelFunc
	working  context.Context // of calls to the server; ends when closing takes too long
	cutOff   context.CancelFunc
	settling sync.WaitGroup
}

func newSubscription(ctx context.Context, b *Broker, topic, group string, pull *puller, lease time.Duration) *subscription {
	s := &subscription{
		broker:  b,
		opts:    b.opts,
		log:     b.log.With("topic", topic, "group", group),
		topic:   topic,
		group:   group,
		lease:   lease,
		pull:    pull,
		out:     make(chan *message.Message),
		size:    b.opts.Concurrency,
		settled: make(chan *delivery, b.opts.Concurrency),
	}
	s.held = newHoldings(b.conn, s.log)
	s.stopping, s.stop = context.WithCancel(ctx)
	s.handling, s.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	s.working, s.cutOff = context.WithCancel(context.Background())
	return s
}

// run hands out messages in order until it is stopped, gives back the rest, and
// waits for what is in hand.
func (s *subscription) run() {
	defer s.stop()
	var keeping sync.WaitGroup
	keeping.Go(func() { s.held.keep(s.working, s.lease) })
	defer keeping.Wait()
	defer s.cutOff()
	connected := s.broker.conn.StatusChanged(nats.CONNECTED)
	defer s.broker.conn.RemoveStatusListener(connected)
	look := time.NewTicker(stuck)
	defer look.Stop()

	for s.stopping.Err() == nil {
		s.ask()
		out, next := s.next()
		select {
		case out <- next:
			s.handedOut()
		case m := <-s.pull.msgs:
			s.took(m)
		case d := <-s.settled:
			s.forget(d)
		case <-look.C:
			s.unstick()
		case <-s.waiting:
			s.waiting = nil
		case <-connected: // whatever was asked before went with the connection
			s.pull.left, s.waiting = 0, nil
		case <-s.stopping.Done():
		}
	}
	s.finish()
}

// next returns the message whose turn it is, and a channel that takes it.
func (s *subscription) next() (chan<- *message.Message, *message.Message) {
	for len(s.queue) > 0 && s.inHand < s.opts.Concurrency {
		d := s.queue[0]
		reason := s.hopeless(d)
		if reason == "" {
			d.begin(s.handling)
			return s.out, d.m
		}
		s.queue = s.queue[1:]
		s.inHand++
		s.settling.Go(func() { s.settleHopeless(d, reason) })
	}
	return nil, nil
}

// handedOut notes that the queue's first is in somebody's hand.
func (s *subscription) handedOut() {
	d := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.inHand++
	s.moved = time.Now()
	s.settling.Go(func() { s.settle(d) })
}

func (s *subscription) took(m *nats.Msg) {
	isMessage, err := s.pull.take(m)
	switch {
	case isMessage:
		s.hold(m)
		s.idle, s.gap, s.failing = false, 0, false
	case err != nil:
		s.failed(err)
	case s.pull.left == 0 && s.pull.came == 0:
		s.idle, s.gap, s.failing = true, 0, false
	}
}

func (s *subscription) hold(m *nats.Msg) {
	d, err := newDelivery(m)
	if err != nil {
		s.log.Error("Message not understood, it will come again", "error", err)
		return
	}
	s.queue = append(s.queue, d)
	s.held.add(d)
}

func (s *subscription) forget(d *delivery) {
	s.inHand--
	d.end()
}

// ask asks for messages if there is room. While handlers are slow that is no
// more than they can have in hand: others of the group may be free. Whenever as
// many came as were asked for, and were soon gone, there is room for twice as
// many, so that the next ones are here before they are needed. When there was
// nothing, it asks for the next one, and for more when that has come.
func (s *subscription) ask() {
	if s.pull.overdue() {
		s.pull.left = 0
	}
	held := s.held.count()
	if s.pull.left > 0 || s.waiting != nil || (held >= s.opts.Concurrency && held > s.size/2) {
		return
	}
	var err error
	switch {
	case !s.idle:
		s.resize()
		err = s.pull.ask(s.size - held)
	case len(s.queue) == 0:
		err = s.pull.await()
	}
	if err != nil {
		s.failed(s.broker.unreached(err))
	}
}

func (s *subscription) resize() {
	if !s.pull.waits && s.pull.came >= s.pull.asked && time.Since(s.pull.since) < quick {
		s.size = max(min(2*s.size, mostHeld), s.opts.Concurrency)
	} else {
		s.size = s.opts.Concurrency
	}
}

func (s *subscription) failed(err error) {
	if !s.failing {
		s.log.Warn("No messages to be had, trying again", "error", err)
	}
	s.failing = true
	s.pause()
}

func (s *subscription) pause() {
	s.gap = min(max(2*s.gap, firstGap), lastGap)
	s.waiting = time.After(s.gap)
}

// unstick gives back what was asked for when handlers were quick, and waits
// since they are slow: others may be free. It does not wait for long, since
// nothing is handed out meanwhile.
func (s *subscription) unstick() {
	if len(s.queue) <= s.opts.Concurrency || time.Since(s.moved) < stuck {
		return
	}
	ctx, cancel := context.WithTimeout(s.working, s.opts.Timeout/4)
	defer cancel()
	s.giveBack(ctx, s.queue[1:])
	s.queue = s.queue[:1]
	s.size = s.opts.Concurrency
}
