package natsbroker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"lectern/ports"
)

// mostGathered bounds what a closing consumer puts in order. What is beyond it,
// when thousands of retries are due, would come first.
const mostGathered = 2000

// settle waits for the handler's answer, and gives it to the server.
func (s *subscription) settle(d *delivery) {
	defer func() { s.settled <- d }()
	select {
	case <-d.m.Acked():
		s.answer(d, answerAck)
		return
	case <-d.m.Nacked():
	case <-s.handling.Done():
		s.log.Warn("Message not settled before close_timeout, giving it back", "message", d.m.UUID)
	}
	if s.opts.givesUp(d.deliveries) && s.buries() && s.bury(d, fmt.Sprintf("nacked %d times", d.deliveries)) {
		s.answer(d, answerAck)
		return
	}
	s.answer(d, answerLater(s.opts.retryDelay(d.deliveries)))
}

// hopeless returns why a message should not be handed out, if it should not: it
// is none, or takes its consumers with it, and so is never nacked.
func (s *subscription) hopeless(d *delivery) string {
	switch {
	case !s.buries():
	case d.unreadable != nil:
		return fmt.Sprintf("not a message: %v", d.unreadable)
	case s.opts.givesUp(d.deliveries - 1):
		return fmt.Sprintf("handed out %d times, and never acknowledged", d.deliveries-1)
	}
	return ""
}

// settleHopeless makes a dead letter of what nobody is to be given.
func (s *subscription) settleHopeless(d *delivery, reason string) {
	defer func() { s.settled <- d }()
	if s.bury(d, reason) {
		s.answer(d, answerAck)
		return
	}
	s.answer(d, answerLater(s.opts.RetryDelayMax))
}

// buries tells whether there is a dead topic. What is in one stays there, and is
// handed out as well as it can be read.
func (s *subscription) buries() bool { return !ports.IsDeadTopic(s.topic) }

// bury makes a dead letter of a message, and tells whether it could.
func (s *subscription) bury(d *delivery, reason string) bool {
	m := d.original()
	m.Metadata.Set(ports.MetaDeadOrigin, d.origin)
	if err := ports.PublishDead(letters{s.broker, s.working}, s.topic, s.group, m, reason, time.Now()); err != nil {
		s.log.Warn("Message not given up, it will come again", "message", m.UUID, "error", err)
		return false
	}
	s.log.Warn("Message given up, it is a dead letter", "message", m.UUID, "origin", d.origin, "reason", reason)
	return true
}

// answer tells the server what becomes of a message. It does not wait while
// there is more to come, and does so after a stop: the next consumer should find
// it settled.
func (s *subscription) answer(d *delivery, answer string) {
	s.held.release(d)
	if s.stopping.Err() == nil {
		s.noteUnanswered(d, s.broker.conn.Publish(d.raw.Reply, []byte(answer)))
		return
	}
	ctx, cancel := context.WithTimeout(s.working, s.opts.Timeout)
	defer cancel()
	s.noteUnanswered(d, s.request(ctx, d, answer))
}

// request returns when the server has done what the answer says.
func (s *subscription) request(ctx context.Context, d *delivery, answer string) error {
	_, err := s.broker.conn.RequestWithContext(ctx, d.raw.Reply, []byte(answer))
	return err
}

func (s *subscription) noteUnanswered(d *delivery, err error) {
	if err != nil {
		s.log.Warn("Outcome of a message not stored, it will come again", "message", d.m.UUID, "error", s.broker.unreached(err))
	}
}

// giveBack lets others have what was not handed out, in its order. The server
// takes in turn what comes by one connection: what it says of the last one it
// has done to all.
func (s *subscription) giveBack(ctx context.Context, ds []*delivery) {
	for i, d := range ds {
		d.end()
		s.held.release(d)
		if i < len(ds)-1 {
			s.noteUnanswered(d, s.broker.conn.Publish(d.raw.Reply, []byte(answerNak)))
		} else {
			s.noteUnanswered(d, s.request(ctx, d, answerNak))
		}
	}
}

// gather ends the requests, and puts all that they brought in order.
//
// What is given back is what the server gives out next, but behind what was given
// back before. Of that, too, everything must be here.
func (s *subscription) gather(ctx context.Context) {
	s.holdAll(s.pull.collect(ctx))
	for len(s.queue) > 0 && len(s.queue) < mostGathered && s.queue[len(s.queue)-1].deliveries > 1 {
		more := s.pull.more(ctx, mostHeld)
		if len(more) == 0 {
			break
		}
		s.holdAll(more)
	}
	s.holdAll(s.pull.stop(ctx))
	slices.SortFunc(s.queue, func(a, b *delivery) int { return cmp.Compare(a.sequence, b.sequence) })
}

func (s *subscription) holdAll(msgs []*nats.Msg) {
	for _, m := range msgs {
		s.hold(m)
	}
}

// finish gives back what was not handed out, and waits for what is in hand,
// until it is given up. All of it takes CloseTimeout and Timeout at most: a call
// may find the connection locked for a part of the latter (see connect), so no
// more than half of it is the calls'.
func (s *subscription) finish() {
	giveUp := time.AfterFunc(s.opts.CloseTimeout, s.giveUp)
	defer giveUp.Stop()
	cutOff := time.AfterFunc(s.opts.CloseTimeout+s.opts.Timeout/2, s.cutOff)
	defer cutOff.Stop()

	ctx, cancel := context.WithTimeout(s.working, s.opts.Timeout)
	defer cancel()
	s.gather(ctx)
	s.giveBack(ctx, s.queue)
	s.queue = nil
	for s.inHand > 0 {
		s.forget(<-s.settled)
	}
	s.settling.Wait()
	s.giveUp()
	s.flush()
}

// flush returns when the server has what was sent without waiting.
func (s *subscription) flush() {
	if !s.broker.conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(s.working, s.opts.Timeout)
	defer cancel()
	if err := s.broker.conn.FlushWithContext(ctx); err != nil {
		s.log.Warn("Outcomes may not be stored, then their messages will come again", "error", err)
	}
}
