package natsbroker

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// What the server's API takes for an answer to a message.
const (
	answerAck      = "+ACK"
	answerNak      = "-NAK"
	answerProgress = "+WPI" // the lease begins anew
)

// answerLater is a nak that brings the message back after a delay.
func answerLater(delay time.Duration) string {
	return fmt.Sprintf(`%s {"delay": %d}`, answerNak, delay.Nanoseconds())
}

// delivery is a message that the server gave us.
type delivery struct {
	raw        *nats.Msg
	origin     string // its place
	sequence   uint64 // its place's number
	deliveries int    // by the server, this one included; not all were handed out
	cleared    bool   // it may be handed out
	m          *message.Message
	unreadable error
	release    context.CancelFunc // ends the context of m; nil before it has one
}

func newDelivery(raw *nats.Msg) (*delivery, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read where a message comes from: %w", err)
	}
	d := &delivery{
		raw:        raw,
		origin:     fmt.Sprintf("stream %s, sequence %d", meta.Stream, meta.Sequence.Stream),
		sequence:   meta.Sequence.Stream,
		deliveries: int(meta.NumDelivered), //nolint:gosec // a count
	}
	if d.m, d.unreadable = decode(raw); d.unreadable != nil {
		d.m = message.NewMessage(uuid.NewString(), raw.Data)
	}
	return d, nil
}

// original is the message as it was before a handler had it.
func (d *delivery) original() *message.Message {
	if d.unreadable != nil {
		return d.m
	}
	m, _ := decode(d.raw) // which it did before
	return m
}

// begin gives the message a context, if it has none yet.
func (d *delivery) begin(ctx context.Context) {
	if d.release == nil {
		ctx, d.release = context.WithCancel(ctx)
		d.m.SetContext(ctx)
	}
}

// end ends the message's context.
func (d *delivery) end() {
	if d.release != nil {
		d.release()
	}
}
