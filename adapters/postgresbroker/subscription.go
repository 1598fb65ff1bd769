package postgresbroker

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
)

// subscription hands out one topic's messages to one consumer, by its slots.
type subscription struct {
	opts         Options
	log          *slog.Logger
	topic, group string
	leases       *leases
	dead         deadLetters
	out          chan *message.Message

	turn   chan struct{}   // full while somebody has it
	pace   *pace           // of who has the turn
	signal <-chan struct{} // something was published, or a retry is to come
	wake   func()          // signals the topic's subscriptions

	stopping context.Context // ends: nothing more is claimed or handed out
	stop     context.CancelFunc
	handling context.Context // the messages' context; ends when they are given up
	giveUp   context.CancelFunc
	working  context.Context // the slots'; ends last
	finish   context.CancelFunc

	rounds  sync.WaitGroup // begun by who has the turn
	slots   []*wsql.Subscriber
	forward sync.WaitGroup
}

func newSubscription(ctx context.Context, b *Broker, topic, group string, signal <-chan struct{}) *subscription {
	s := &subscription{
		opts:   b.opts,
		log:    b.log.With("topic", topic, "group", group),
		topic:  topic,
		group:  group,
		leases: b.leases,
		dead:   deadLetters{b},
		out:    make(chan *message.Message),
		turn:   make(chan struct{}, 1),
		pace:   &pace{longest: b.opts.PollInterval},
		signal: signal,
		wake:   func() { b.signals.wake(topic) },
	}
	s.stopping, s.stop = context.WithCancel(ctx)
	s.handling, s.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	s.working, s.finish = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// start starts a slot.
func (s *subscription) start(db *sql.DB, q queries) error {
	slot := &slot{DB: db, queries: q, sub: s}
	ackDeadline := 10 * 365 * 24 * time.Hour // the lease decides; 0 is refused
	inner, err := wsql.NewSubscriber(slot, wsql.SubscriberConfig{
		ConsumerGroup:  s.group,
		AckDeadline:    &ackDeadline,
		BackoffManager: slot,
		SchemaAdapter:  slot,
		OffsetsAdapter: q,
	}, watermill.NewSlogLoggerWithLevelMapping(s.log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug}))
	if err != nil {
		return fmt.Errorf("make subscriber: %w", err)
	}
	s.slots = append(s.slots, inner)
	claimed, err := inner.Subscribe(s.working, s.topic)
	if err != nil {
		return err
	}
	s.forward.Go(func() { slot.forward(claimed) })
	return nil
}

// run returns when the subscription has stopped and what was in hand is
// settled, or given up. It calls ended before the channel closes.
func (s *subscription) run(ended func()) {
	<-s.stopping.Done()
	// The stock subscriber would drop what is in hand as soon as it is closed.
	giveUp := time.AfterFunc(s.opts.CloseTimeout, s.giveUp)
	finish := time.AfterFunc(s.opts.CloseTimeout+s.opts.Timeout, s.finish)
	s.turn <- struct{}{} // kept: no more rounds
	s.rounds.Wait()
	giveUp.Stop()
	finish.Stop()
	ended()
	s.end()
}

// end ends the slots, which have nothing in hand.
func (s *subscription) end() {
	s.stop()
	s.giveUp()
	s.finish()
	for _, slot := range s.slots {
		_ = slot.Close() // always nil
	}
	s.forward.Wait()
	close(s.out)
}

// takeTurn waits for the turn and for something to claim, and begins a round.
// After the stop it waits for the end.
func (s *subscription) takeTurn(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		s.pace.wait(s.stopping, s.signal) //nolint:contextcheck // a stop ends the wait before ctx ends
		if s.stopping.Err() == nil {
			s.rounds.Add(1)
			return nil
		}
		s.passTurn()
	case <-s.stopping.Done():
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *subscription) passTurn() { <-s.turn }

// settle hands a message out and returns the outcome. What nobody should get, or
// get again, it buries. It calls handedOut as soon as the next one may be claimed.
func (s *subscription) settle(d *delivery, m *message.Message, handedOut func()) outcome {
	if reason := s.hopeless(d); reason != "" {
		handedOut()
		return s.bury(d, m, reason)
	}
	outcome := s.handOut(m, handedOut)
	if outcome == nacked && s.isLast(d.attempts) {
		return s.bury(d, m, fmt.Sprintf("nacked %d times", d.attempts))
	}
	return outcome
}

// handOut gives the handler a copy of a message.
func (s *subscription) handOut(m *message.Message, handedOut func()) outcome {
	ctx, cancel := context.WithCancel(s.handling)
	defer cancel()
	m = m.Copy()
	m.SetContext(ctx)
	select {
	case s.out <- m:
		handedOut()
	case <-s.stopping.Done():
		return givenBack
	}
	select {
	case <-m.Acked():
		return acked
	case <-m.Nacked():
	case <-s.handling.Done():
		s.log.Warn("Message not settled before close_timeout, giving it back", "message", m.UUID)
	}
	return nacked
}

// began notes a claim.
func (s *subscription) began(d *delivery) {
	s.leases.add(rowKey{s.topic, s.group, d.seq})
	s.pace.found()
}

// ended notes what came of a round: d is nil if nothing was claimed. Without a
// delivery in hand its slot has the turn.
func (s *subscription) ended(d *delivery, err error) {
	switch {
	case d != nil:
		s.leases.remove(rowKey{s.topic, s.group, d.seq})
		if d.outcome != acked {
			s.wake() // it may be due before the next look
		}
		if err != nil {
			s.log.Warn("Outcome of a message not stored, it will come again", "seq", d.seq, "error", err)
		}
	case err == nil:
		s.pace.empty()
	case s.pace.failed():
		s.log.Warn("Broker not reached, trying again", "error", err)
	}
}
