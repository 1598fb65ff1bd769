package redisbroker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"lectern/ports"
)

// Publish implements message.Publisher. The batch is one pipeline, in the order
// given, within the timeout. A message whose answer did not come back counts as
// failed, though the server may have it.
func (b *Broker) Publish(topic string, msgs ...*message.Message) error {
	if b.isClosed() {
		return ports.NewPublishError(ports.Unavailable, errClosed, msgs...).OrNil()
	}
	return b.publish(b.opts.MaxMessageBytes, topic, msgs)
}

// letters publishes dead letters, to the end of a closing broker too, and
// whatever size somebody else's message has.
type letters struct{ *Broker }

// Publish implements message.Publisher.
func (l letters) Publish(topic string, msgs ...*message.Message) error {
	return l.publish(math.MaxInt, topic, msgs)
}

func (b *Broker) publish(limit int, topic string, msgs []*message.Message) error {
	fit, failed := ports.CheckBatch(limit, msgs)
	ctx, cancel := context.WithTimeout(context.Background(), b.opts.Timeout)
	defer cancel()
	batch := b.client.Pipeline()
	sent := b.addTo(ctx, batch, topic, fit, failed)
	if len(sent) == 0 {
		return failed.OrNil()
	}
	answers, err := batch.Exec(ctx)
	for i, m := range sent {
		if !hasID(answers[i]) {
			failure, err := b.explain(topic, cause(answers[i], err))
			failed.Add(failure, fmt.Errorf("publish to %q: %w", topic, err), m)
		}
	}
	return failed.OrNil()
}

// hasID tells whether the server answered with the id that it gave an entry. Its
// error does not: a lost connection is that of all commands of a pipeline, those
// too that were answered, and a refused login is that of none.
func hasID(answer redis.Cmder) bool {
	added, ok := answer.(*redis.StringCmd)
	return ok && added.Val() != ""
}

// cause is why a command of a pipeline was not answered.
func cause(answer redis.Cmder, pipeline error) error {
	return cmp.Or(answer.Err(), pipeline, io.ErrUnexpectedEOF)
}

// addTo adds messages to a pipeline, but for those that it refuses.
func (b *Broker) addTo(
	ctx context.Context, batch redis.Pipeliner, topic string, msgs []*message.Message, failed *ports.PublishError,
) []*message.Message {
	entry := redis.XAddArgs{Stream: b.opts.stream(topic), NoMkStream: true, MaxLen: b.opts.MaxLength, Approx: true}
	sent, encoder := make([]*message.Message, 0, len(msgs)), newEncoder(len(msgs))
	for _, m := range msgs {
		values, err := encoder.encode(m)
		if err != nil {
			failed.Add(ports.Refused, err, m)
			continue
		}
		entry.Values = values
		batch.XAdd(ctx, &entry)
		sent = append(sent, m)
	}
	return sent
}

// explain classifies the error of a message. A stream that was there, and is
// not, is no message's fault: the server has lost its data.
func (b *Broker) explain(topic string, err error) (ports.PublishFailure, error) {
	if !errors.Is(err, redis.Nil) {
		return classify(err), err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.prepared[topic] {
		return ports.Unavailable, fmt.Errorf("the stream %q is gone: register topic and groups with Prepare again", b.opts.stream(topic))
	}
	return ports.Refused, fmt.Errorf("there is no stream %q: register topic and groups with Prepare", b.opts.stream(topic))
}

// classify tells how a message failed. A message is given up only for what the
// server says of it or of its topic; that the server is full, read only, not
// ready or not ours to use is the operator's affair.
func classify(err error) ports.PublishFailure {
	var answer redis.Error
	if !errors.As(err, &answer) || errors.Is(err, redis.Nil) {
		return ports.Unavailable
	}
	begins := func(prefix string) bool { return strings.HasPrefix(answer.Error(), prefix) }
	switch {
	case begins("WRONGTYPE "):
		return ports.Refused
	case !begins("ERR "), slices.ContainsFunc(aboutTheServer(), begins):
		return ports.Unavailable
	}
	return ports.Retryable
}

// aboutTheServer begins the answers with the general code that are no message's
// fault. Those with a code of their own are none either: OOM, READONLY, LOADING,
// MISCONF, NOREPLICAS, MASTERDOWN, BUSY, NOAUTH, WRONGPASS, NOPERM, ...
func aboutTheServer() []string {
	return []string{"ERR max number of clients", "ERR DB index", "ERR AUTH", "ERR Client sent AUTH", "ERR invalid password", "ERR unknown command"}
}
