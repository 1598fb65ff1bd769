package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"lectern/ports"
)

// Publish implements message.Publisher. All of the batch is sent before the
// first acknowledgement is awaited. What is sent after something could not be
// is not sent, to keep the order.
//
// A message carries no Nats-Msg-Id: within its window the server would
// acknowledge, and drop, what is published once more on purpose (a redrive, or
// the second group's dead letter of one message). Doubles are the inbox's.
func (b *Broker) Publish(topic string, msgs ...*message.Message) error {
	if b.isClosed() {
		return ports.NewPublishError(ports.Unavailable, errClosed, msgs...).OrNil()
	}
	return b.publish(context.Background(), b.opts.MaxMessageBytes, topic, msgs)
}

// letters publishes dead letters until a context ends, on a closing broker too,
// and whatever size somebody else's message has.
type letters struct {
	*Broker
	until context.Context
}

// Publish implements message.Publisher.
func (l letters) Publish(topic string, msgs ...*message.Message) error {
	return l.publish(l.until, maxPayload, topic, msgs)
}

func (b *Broker) publish(ctx context.Context, limit int, topic string, msgs []*message.Message) error {
	fit, failed := ports.CheckBatch(limit, msgs)
	if len(fit) == 0 {
		return failed.OrNil()
	}
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	subject, failure, err := b.find(ctx, topic)
	if err != nil {
		failed.Add(failure, fmt.Errorf("publish to %q: %w", topic, err), fit...)
		return failed
	}
	b.await(ctx, topic, b.send(ctx, subject, fit, failed), failed)
	return failed.OrNil()
}

// sent is a message on its way.
type sent struct {
	m   *message.Message
	ack jetstream.PubAckFuture
}

func (b *Broker) send(ctx context.Context, subject string, msgs []*message.Message, failed *ports.PublishError) []sent {
	all := make([]sent, 0, len(msgs))
	for i, m := range msgs {
		encoded, err := encode(subject, m)
		if err != nil {
			failed.Add(ports.Refused, err, m)
			continue
		}
		err = ctx.Err()
		if err == nil {
			var ack jetstream.PubAckFuture
			// A retry would come after what was sent meanwhile.
			if ack, err = b.js.PublishMsgAsync(encoded, jetstream.WithRetryAttempts(0)); err == nil {
				all = append(all, sent{m, ack})
				continue
			}
		}
		if failure := classify(err); failure != ports.Unavailable {
			failed.Add(failure, b.explain(err), m)
			continue
		}
		failed.Add(ports.Unavailable, b.unreached(err), msgs[i:]...)
		break
	}
	return all
}

func (b *Broker) await(ctx context.Context, topic string, all []sent, failed *ports.PublishError) {
	lookAgain := sync.OnceValues(func() (ports.PublishFailure, error) {
		b.setReady(topic, false)
		_, failure, err := b.find(ctx, topic)
		return failure, err
	})
	for _, s := range all {
		err := outcome(ctx, s.ack)
		if err == nil {
			continue
		}
		failure := classify(err)
		if errors.Is(err, jetstream.ErrNoStreamResponse) {
			if why, lost := lookAgain(); lost != nil { // else it is there again
				failure, err = why, lost
			}
		}
		failed.Add(failure, fmt.Errorf("publish to %q: %w", topic, b.explain(b.unreached(err))), s.m)
	}
}

func outcome(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		return nil
	default:
	}
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for acknowledgement: %w", ctx.Err())
	}
}

// find returns a topic's subject. A stream drops, and acknowledges, what no
// group consumes, so a topic is looked up before its first message.
func (b *Broker) find(ctx context.Context, topic string) (string, ports.PublishFailure, error) {
	at, err := b.opts.place(topic)
	if err != nil {
		return "", ports.Refused, err
	}
	if b.isReady(topic) {
		return at.subject, 0, nil
	}
	stream, err := b.js.Stream(ctx, at.stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return b.absent(topic, fmt.Errorf("there is no stream %s: register topic and groups with Prepare", at.stream))
	case err != nil:
		return "", ports.Unavailable, b.unreached(err)
	}
	info := stream.CachedInfo()
	if err := at.requireSubject(info.Config); err != nil {
		return b.absent(topic, fmt.Errorf("stream %s: %w", at.stream, err))
	}
	if info.State.Consumers == 0 {
		return b.absent(topic, errors.New("no group consumes the topic: register topic and groups with Prepare"))
	}
	b.setReady(topic, true)
	return at.subject, 0, nil
}

// absent returns for find why a topic is not as Prepare leaves it. One that was,
// and is not, is no message's fault: the server has lost its data.
func (b *Broker) absent(topic string, why error) (string, ports.PublishFailure, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.prepared[topic] {
		return "", ports.Unavailable, fmt.Errorf("it was prepared, and is gone: %w", why)
	}
	return "", ports.Refused, why
}

func (b *Broker) isReady(topic string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready[topic]
}

func (b *Broker) setReady(topic string, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready[topic] = ready
}

// What the server says of a message that it will never accept.
const (
	codeMessageTooLarge jetstream.ErrorCode = 10054
	codeHeaderTooLarge  jetstream.ErrorCode = 10097
	codeStoreFailed     jetstream.ErrorCode = 10077 // a full stream among others
)

// classify tells how a message failed.
func classify(err error) ports.PublishFailure {
	if errors.Is(err, nats.ErrMaxPayload) {
		return ports.Refused
	}
	var server *jetstream.APIError
	if !errors.As(err, &server) {
		return ports.Unavailable
	}
	switch {
	case server.ErrorCode == codeMessageTooLarge || server.ErrorCode == codeHeaderTooLarge:
		return ports.Refused
	case server.ErrorCode == codeStoreFailed || server.Code >= 500:
		return ports.Unavailable
	}
	return ports.Retryable
}

// explain says what to do about it.
func (b *Broker) explain(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return fmt.Errorf("%w: with its metadata it is larger than the %d bytes of the server's max_payload", err, b.conn.MaxPayload())
	}
	return err
}
