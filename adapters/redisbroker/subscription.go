package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"lectern/ports"
)

// subscription hands out one topic's messages to one consumer.
type subscription struct {
	pending
	opts        Options
	log         *slog.Logger
	broker      *Broker // for the dead letters
	topic, name string  // name is the group's, as we call it
	hold        *holdings
	reading     *client
	out         chan *message.Message

	stopping context.Context // ends: nothing more is taken or handed out
	stop     context.CancelFunc
	handling context.Context // the messages' context; ends when they are given up
	giveUp   context.CancelFunc
	working  context.Context // the background's; ends last
	finish   context.CancelFunc

	slots  chan struct{} // one held by each message in hand
	inHand sync.WaitGroup
}

func newSubscription(ctx context.Context, b *Broker, topic, group string) *subscription {
	p := pending{client: b.client.Client, stream: b.opts.stream(topic), group: b.opts.group(group), me: consumerName()}
	s := &subscription{
		pending: p,
		opts:    b.opts,
		log:     b.log.With("topic", topic, "group", group),
		broker:  b,
		topic:   topic,
		name:    group,
		hold:    newHoldings(b.opts.Concurrency),
		reading: b.connector.client(1),
		out:     make(chan *message.Message),
		slots:   make(chan struct{}, b.opts.Concurrency),
	}
	s.stopping, s.stop = context.WithCancel(ctx)
	s.handling, s.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	s.working, s.finish = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// consumerName is new each time, and tells people where the consumer is.
func consumerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + uuid.NewString()
}

// run returns when the subscription has stopped, what was in hand is settled or
// given up, and the server knows or could not be told.
func (s *subscription) run() {
	r := &reader{pending: s.pending, opts: s.opts, log: s.log, hold: s.hold}
	r.client = s.reading.Client
	var taking, background sync.WaitGroup
	taking.Go(func() { r.run(s.stopping) })
	taking.Go(s.dispatch)
	var storing error
	background.Go(func() { storing = s.store() })
	background.Go(s.keep)

	<-s.stopping.Done()
	s.reading.interrupt()
	taking.Wait()
	if err := s.reading.close(); err != nil {
		s.log.Debug("Connection not closed in order", "error", err)
	}
	timeout := time.AfterFunc(s.opts.CloseTimeout, s.giveUp)
	s.inHand.Wait()
	timeout.Stop()
	s.hold.giveBack(0)
	s.finish()
	background.Wait()
	s.leave(storing)
	s.stop()
	s.giveUp()
}

// dispatch hands out messages in order until the subscription is stopped.
func (s *subscription) dispatch() {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.stopping.Done():
			return
		}
		d := s.hold.next(s.stopping)
		if d == nil || !s.handOut(d) {
			return
		}
	}
}

// handOut hands out one message and has its outcome awaited. It tells whether
// the message was taken.
func (s *subscription) handOut(d *delivery) bool {
	m, err := s.read(d)
	if err != nil {
		s.await(d, func() outcome { return s.bury(d, err) })
		return true
	}
	ctx, cancel := context.WithCancel(s.handling)
	m.SetContext(ctx)
	select {
	case s.out <- m:
	case <-s.stopping.Done():
		cancel()
		s.hold.settle(d, givenBack)
		return false
	}
	s.await(d, func() outcome {
		defer cancel()
		return s.outcome(d, m)
	})
	return true
}

// read returns the message to be handed out, or why it is to be given up. A dead
// letter has nowhere to go, and is handed out whatever it is.
func (s *subscription) read(d *delivery) (*message.Message, error) {
	m, err := decode(d.values)
	if ports.IsDeadTopic(s.topic) {
		if err != nil {
			m = unreadable(d.values)
		}
		return m, nil
	}
	if d.lost != "" {
		return nil, errors.New(d.lost)
	}
	return m, err
}

// await settles a delivery, in a slot that it frees.
func (s *subscription) await(d *delivery, outcome func() outcome) {
	s.inHand.Go(func() {
		s.hold.settle(d, outcome())
		<-s.slots
	})
}

// outcome waits for the handler's answer.
func (s *subscription) outcome(d *delivery, m *message.Message) outcome {
	select {
	case <-m.Acked():
		return acked
	case <-m.Nacked():
	case <-s.handling.Done():
		s.log.Warn("Message not settled before close_timeout, giving it back", "message", m.UUID)
	}
	if s.opts.givesUp(d.count) && !ports.IsDeadTopic(s.topic) {
		return s.bury(d, fmt.Errorf("nacked %d times", d.count))
	}
	return nacked
}

// bury makes a dead letter of a message, as it is on the wire. If it can't, the
// message stays and comes again.
func (s *subscription) bury(d *delivery, reason error) outcome {
	m, err := decode(d.values)
	if err != nil {
		m = unreadable(d.values)
	}
	m.Metadata.Set(ports.MetaDeadOrigin, s.stream+" "+d.id)
	if err := ports.PublishDead(letters{s.broker}, s.topic, s.name, m, reason.Error(), time.Now()); err != nil {
		s.log.Warn("Message not given up, it will come again", "entry", d.id, "error", err)
		return nacked
	}
	s.log.Warn("Message given up, it is a dead letter", "entry", d.id, "message", m.UUID, "reason", reason)
	return acked
}
