package app

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"lectern/domain"
	"lectern/ports"
)

// newMessage makes the broker's message of an outbox entry.
func newMessage(e domain.OutboxEntry) *message.Message {
	id := e.ID.String()
	msg := message.NewMessage(id, message.Payload(e.Data))
	msg.Metadata = message.Metadata{
		ports.MetaSpecVersion: ports.CloudEventsVersion,
		ports.MetaID:          id,
		ports.MetaType:        ports.MessageTypePrefix + string(e.Queue),
		ports.MetaSource:      ports.MessageSource,
		ports.MetaSubject:     e.CourseID.String(),
		ports.MetaTime:        e.CreatedAt.UTC().Format(time.RFC3339Nano),
		ports.MetaContentType: ports.ContentTypeJSON,
		ports.MetaRun:         strconv.Itoa(e.Run),
		ports.MetaAttempt:     strconv.Itoa(e.Options.Attempt),
		ports.MetaMaxAttempts: strconv.Itoa(e.Options.MaxAttempts),
	}
	if e.Options.Priority > 0 {
		msg.Metadata.Set(ports.MetaPriority, strconv.Itoa(e.Options.Priority))
	}
	return msg
}

// readMessage reads a delivery from a message of a queue. One published by
// hand may lack the subject, the run and the attempt.
func readMessage(queue domain.Queue, msg *message.Message) (domain.Delivery, error) {
	d := domain.Delivery{Queue: queue}
	var err error
	if d.OutboxID, err = uuid.Parse(msg.UUID); err != nil {
		return d, fmt.Errorf("read message id %q: %w", msg.UUID, err)
	}
	if err = json.Unmarshal(msg.Payload, &d.Data); err != nil {
		return d, fmt.Errorf("read message payload: %w", err)
	}
	d.CourseID = d.Data.CourseID
	if subject := msg.Metadata.Get(ports.MetaSubject); subject != "" {
		if d.CourseID, err = uuid.Parse(subject); err != nil {
			return d, fmt.Errorf("read message subject %q: %w", subject, err)
		}
	}
	if d.Run, err = number(msg, ports.MetaRun); err != nil {
		return d, err
	}
	if d.Attempt, err = number(msg, ports.MetaAttempt); err != nil {
		return d, err
	}
	if d.MaxAttempts, err = number(msg, ports.MetaMaxAttempts); err != nil {
		return d, err
	}
	d.MaxAttempts = min(d.MaxAttempts, domain.MaxAttempts)
	d.Priority, err = number(msg, ports.MetaPriority)
	d.Priority = min(d.Priority, domain.MaxPriority)
	return d, err
}

func number(msg *message.Message, key string) (int, error) {
	s := msg.Metadata.Get(key)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 32) // the database's integer
	if err != nil || n < 0 {
		return 0, fmt.Errorf("read message metadata %s: %q is not a count", key, s)
	}
	return int(n), nil
}
