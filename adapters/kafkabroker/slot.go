package kafkabroker

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"lectern/ports"
)

// slot hands out one message at a time and settles it. The slots of a
// subscription take turns, so that messages leave in order.
func (s *subscription) slot() {
	for s.handOut() {
	}
}

// handOut hands out the next message and waits for its outcome. It returns false
// once the subscription has stopped.
func (s *subscription) handOut() bool {
	s.turn.Lock()
	d := s.await()
	if d == nil {
		s.turn.Unlock()
		return false
	}
	m, hopeless := s.read(d)
	switch {
	case hopeless != "":
		s.turn.Unlock()
		s.bury(d, m, hopeless)
	case s.startCount(d):
		s.turn.Unlock()
		s.count(d)
	default:
		s.offer(d, m)
	}
	return true
}

// offer hands out a message. The turn is held until it is taken.
func (s *subscription) offer(d *delivery, m *message.Message) {
	ctx, cancel := context.WithCancel(d.part.handling)
	defer cancel()
	m.SetContext(ctx)
	select {
	case s.out <- m:
		s.turn.Unlock()
		s.settle(d, m)
	case <-d.part.closed:
		s.turn.Unlock()
		s.release(d)
	case <-s.stopping.Done():
		s.turn.Unlock()
		s.release(d)
	}
}

// read returns a delivery's message, and why it should not be handed out, if it
// should not. A dead letter is handed out whatever it is.
func (s *subscription) read(d *delivery) (m *message.Message, hopeless string) {
	m, err := toMessage(d.record)
	if err != nil {
		m = fromUnreadable(d.record)
	}
	switch {
	case ports.IsDeadTopic(s.topic):
	case err != nil:
		hopeless = "unreadable: " + err.Error()
	case s.givesUp(d.deaths):
		hopeless = fmt.Sprintf("handed out %d times, and never acknowledged", d.deaths)
	}
	return m, hopeless
}

// buries tells whether a message may be handed out too often.
func (s *subscription) buries() bool { return s.opts.MaxDeliveries > 0 && !ports.IsDeadTopic(s.topic) }

func (s *subscription) givesUp(deliveries int) bool {
	return s.buries() && deliveries >= s.opts.MaxDeliveries
}

// await returns the next delivery, nil once stopped.
func (s *subscription) await() *delivery {
	for s.stopping.Err() == nil {
		d, changed, wait := s.take(time.Now())
		if d != nil {
			return d
		}
		s.sleep(changed, wait)
	}
	return nil
}

// take returns the next delivery. If there is none, it returns a channel that
// closes on a change, and the wait for the first that is held back, 0 for none.
func (s *subscription) take(now time.Time) (*delivery, <-chan struct{}, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wait time.Duration
	for i, p := range s.order {
		fresh := len(p.fresh)
		if d := p.take(now); d != nil {
			if fresh > len(p.fresh) {
				s.tookFresh()
			} else {
				s.unblock(p)
			}
			s.order[i], s.order[len(s.order)-1] = s.order[len(s.order)-1], s.order[i] // others are asked first next time
			return d, nil, 0
		}
		if len(p.heldBack) > 0 {
			if due := p.heldBack[0].due.Sub(now); wait == 0 || due < wait {
				wait = due
			}
		}
	}
	return nil, s.changed, wait
}

func (s *subscription) tookFresh() {
	s.fresh--
	if s.fresh < prefetch {
		s.signalSpace()
	}
}

func (s *subscription) signalSpace() {
	select {
	case s.space <- struct{}{}:
	default:
	}
}

func (s *subscription) sleep(changed <-chan struct{}, wait time.Duration) {
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
	case <-due:
	case <-s.stopping.Done():
	}
}

// settle waits for the handler's answer. What is given up is left as it is, and
// comes again to whoever consumes the partition next.
func (s *subscription) settle(d *delivery, m *message.Message) {
	select {
	case <-m.Acked():
		s.acked(d)
	case <-m.Nacked():
		s.nacked(d)
	case <-d.part.handling.Done():
		s.log.Warn("Message not settled in time, giving it back", "message", m.UUID)
		s.release(d)
	}
}

// acked marks what may be committed: all before the first that is unsettled.
// MarkCommitRecords by itself keeps the highest only.
func (s *subscription) acked(d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.part.suspects > 0 {
		s.changes() // the next one may be handed out
	}
	if mark := d.part.settle(d); mark != nil && !d.part.lost {
		s.client.MarkCommitRecords(mark)
	}
}

func (s *subscription) nacked(d *delivery) {
	d.nacks++
	if m, hopeless := s.read(d); hopeless == "" && s.givesUp(d.deaths+d.nacks) {
		s.bury(d, m, fmt.Sprintf("nacked %d times", d.deaths+d.nacks))
		return
	}
	s.holdBack(d)
}

// bury publishes a dead letter in the message's stead, or tries so again later.
func (s *subscription) bury(d *delivery, m *message.Message, reason string) {
	m.Metadata.Set(ports.MetaDeadOrigin, origin(d.record))
	if err := ports.PublishDead(letters{s.broker}, s.topic, s.group, m, reason, time.Now()); err != nil {
		s.log.Error("Dead letter not published, trying again", "message", m.UUID, "reason", reason, "error", err)
		d.nacks = max(d.nacks, 1)
		s.holdBack(d)
		return
	}
	s.log.Warn("Message given up", "message", m.UUID, "reason", reason, "dead_topic", ports.DeadTopic(s.topic))
	s.acked(d)
}

// holdBack keeps a message until it is due again. Those behind it go on.
func (s *subscription) holdBack(d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := d.part
	p.suspects = max(p.suspects-1, 0)
	if p.isClosed() {
		p.release()
		return
	}
	p.holdBack(d, time.Now().Add(s.opts.retryDelay(d.nacks)))
	if len(p.heldBack) >= maxHeldBack && !p.blocked {
		p.blocked = true
		s.fresh -= len(p.fresh)
		s.client.PauseFetchPartitions(map[string][]int32{s.name: {p.id}})
		s.signalSpace()
	}
	s.changes() // it may be due before the others
}

// unblock lets a partition go on once half of what is held back is gone. The
// lock is held.
func (s *subscription) unblock(p *partition) {
	if p.blocked && len(p.heldBack) <= maxHeldBack/2 {
		p.blocked = false
		s.fresh += len(p.fresh)
		s.client.ResumeFetchPartitions(map[string][]int32{s.name: {p.id}})
	}
}

// release gives a delivery back that has no outcome.
func (s *subscription) release(d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.part.release()
}
