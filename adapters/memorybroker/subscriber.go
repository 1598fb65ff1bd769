package memorybroker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"lectern/ports"
)

// subscriber is one consumer of a group.
type subscriber struct {
	broker *Broker
	group  string

	mu      sync.Mutex
	closed  bool
	topics  map[string]*subscription
	running sync.WaitGroup
}

// Subscribe implements message.Subscriber. The channel closes once ctx ends or
// the consumer is closed, and what is in hand is settled.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	q, err := s.broker.queue(topic, s.group)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("subscribe to %q: the consumer is closed", topic)
	}
	if s.topics[topic] != nil {
		return nil, fmt.Errorf("subscribe to %q: this consumer already does; make another", topic)
	}
	sub := newSubscription(ctx, s.broker, q, topic, s.group)
	s.topics[topic] = sub
	s.running.Go(func() { //nolint:contextcheck // what is in hand may be finished after the end of ctx
		sub.run()
		s.end(topic)
		close(sub.out)
	})
	return sub.out, nil
}

func (s *subscriber) end(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.topics, topic)
}

// Close implements message.Subscriber. It waits for what is in hand, up to
// CloseTimeout, and gives back the rest.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, sub := range s.topics {
		sub.stop()
	}
	s.mu.Unlock()
	s.running.Wait()
	s.broker.forget(s)
	return nil
}

// subscription hands out one topic's messages.
type subscription struct {
	opts         Options
	log          *slog.Logger
	broker       *Broker // for the dead letters
	topic, group string
	queue        *queue
	out          chan *message.Message

	stopping context.Context // ends: nothing more is taken
	stop     context.CancelFunc
	handling context.Context // the messages' context; ends when they are given up
	giveUp   context.CancelFunc

	slots  chan struct{} // one held by each message in hand
	inHand sync.WaitGroup
}

func newSubscription(ctx context.Context, b *Broker, q *queue, topic, group string) *subscription {
	s := &subscription{
		opts:   b.opts,
		log:    b.log.With("topic", topic, "group", group),
		broker: b,
		topic:  topic,
		group:  group,
		queue:  q,
		out:    make(chan *message.Message),
		slots:  make(chan struct{}, b.opts.Concurrency),
	}
	s.stopping, s.stop = context.WithCancel(ctx)
	s.handling, s.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// run hands out messages in order until it is stopped, then waits for those in
// hand.
func (s *subscription) run() {
	for s.next() {
	}
	timeout := time.AfterFunc(s.opts.CloseTimeout, s.giveUp)
	s.inHand.Wait()
	timeout.Stop()
	s.stop()
	s.giveUp()
}

// next hands out one message, and tells whether to go on.
func (s *subscription) next() bool {
	select {
	case s.slots <- struct{}{}:
	case <-s.stopping.Done():
		return false
	}
	d := s.await()
	if d == nil {
		return false
	}
	ctx, cancel := context.WithCancel(s.handling)
	m := d.message()
	m.SetContext(ctx)
	select {
	case s.out <- m:
	case <-s.stopping.Done():
		cancel()
		s.queue.putBack(d)
		return false
	}
	s.inHand.Go(func() {
		defer cancel()
		s.settle(d, m)
		<-s.slots
	})
	return true
}

// await returns the next delivery, nil once stopped.
func (s *subscription) await() *delivery {
	for s.stopping.Err() == nil {
		d, changed, wait := s.queue.take(time.Now())
		if d != nil {
			return d
		}
		s.sleep(changed, wait)
	}
	return nil
}

func (s *subscription) sleep(changed <-chan struct{}, wait time.Duration) {
	ctx := s.stopping
	if wait > 0 {
		timed, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		ctx = timed
	}
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

// settle waits for the handler's answer; a message that is given up goes back.
func (s *subscription) settle(d *delivery, m *message.Message) {
	select {
	case <-m.Acked():
		s.queue.settle()
		return
	case <-m.Nacked():
	case <-s.handling.Done():
		s.log.Warn("Message not settled before close_timeout, giving it back", "message", d.uuid)
	}
	d.nacks++
	if s.opts.givesUp(d.nacks) && s.bury(d) {
		s.queue.settle()
		return
	}
	d.due = time.Now().Add(s.opts.retryDelay(d.nacks))
	s.queue.delay(d)
}

// bury makes a dead letter of a message, and tells whether it could. What is a
// dead letter already has nowhere to go.
func (s *subscription) bury(d *delivery) bool {
	if ports.IsDeadTopic(s.topic) {
		return false
	}
	m := d.message()
	m.Metadata.Set(ports.MetaDeadOrigin, fmt.Sprintf("message %d of the process", d.seq))
	reason := fmt.Sprintf("nacked %d times", d.nacks)
	if err := ports.PublishDead(s.broker, s.topic, s.group, m, reason, time.Now()); err != nil {
		s.log.Warn("Message not given up, it will come again", "message", d.uuid, "error", err)
		return false
	}
	s.log.Warn("Message given up, it is a dead letter", "message", d.uuid, "reason", reason)
	return true
}
