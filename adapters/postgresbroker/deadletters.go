package postgresbroker

import (
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"lectern/ports"
)

// hopeless returns why a message should not be handed out, if it should not.
// One may have been handed out too often without a nack: when it takes its
// consumer with it.
func (s *subscription) hopeless(d *delivery) string {
	switch {
	case d.unreadable != "":
		return d.unreadable
	case s.isLast(d.attempts - 1):
		return fmt.Sprintf("handed out %d times, and never acknowledged", d.attempts-1)
	}
	return ""
}

// isLast tells whether a message must not be handed out again. What is a dead
// letter already has nowhere to go.
func (s *subscription) isLast(attempts int) bool {
	return s.opts.MaxDeliveries > 0 && attempts >= s.opts.MaxDeliveries && !ports.IsDeadTopic(s.topic)
}

// bury makes a dead letter of a message, whose row may then go. If that fails,
// it is tried again after a delay.
func (s *subscription) bury(d *delivery, m *message.Message, reason string) outcome {
	m = m.Copy()
	m.Metadata.Set(ports.MetaDeadOrigin, fmt.Sprintf("%s.messages, seq %d", s.opts.Schema, d.seq))
	if err := ports.PublishDead(s.dead, s.topic, s.group, m, reason, time.Now()); err != nil {
		s.log.Warn("Message not given up, trying again", "message", m.UUID, "reason", reason, "error", err)
		return nacked
	}
	s.log.Warn("Message given up, it is a dead letter", "message", m.UUID, "reason", reason)
	return acked
}

// deadLetters publishes what was on the broker already, and may therefore be
// what Publish would refuse.
type deadLetters struct{ *Broker }

// Publish implements message.Publisher.
func (d deadLetters) Publish(topic string, msgs ...*message.Message) error {
	if failure, err := d.insert(topic, msgs); err != nil {
		return ports.NewPublishError(failure, err, msgs...)
	}
	d.signals.wake(topic)
	return nil
}
