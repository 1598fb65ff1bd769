package natsbroker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"lectern/ports"
)

// Prepare implements ports.Broker. A topic's dead topic comes first, so that
// whoever consumes the topic can publish to it. What is there stays as it is.
// One that runs out of time has made a part, and the next goes on from there.
func (b *Broker) Prepare(ctx context.Context, topics, groups []string) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	var missing []error
	prepare := func(topic string, groups []string) error {
		err := b.prepare(ctx, topic, groups)
		if errors.Is(err, errMissing) { // so may be others, of which one wants to know
			missing, err = append(missing, err), nil
		}
		return err
	}
	for _, topic := range topics {
		var err error
		if ports.IsDeadTopic(topic) {
			err = prepare(topic, []string{ports.GroupDead})
		} else if err = prepare(ports.DeadTopic(topic), []string{ports.GroupDead}); err == nil {
			err = prepare(topic, groups)
		}
		if err != nil {
			return fmt.Errorf("prepare topic %q: %w", topic, err)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("prepare topics: %w", errors.Join(missing...))
	}
	return nil
}

// errMissing is of a stream or durable that we may not make.
var errMissing = errors.New("it is not there, and create_topics is false: let somebody make it")

func (b *Broker) prepare(ctx context.Context, topic string, groups []string) error {
	at, err := b.opts.place(topic)
	if err != nil {
		return err
	}
	stream, err := b.ensureStream(ctx, at)
	if err != nil {
		return b.unreached(err)
	}
	for _, group := range groups {
		if err := b.ensureDurable(ctx, stream, group); err != nil {
			return b.unreached(err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(groups) > 0 {
		b.prepared[topic] = true
	}
	return nil
}

func (b *Broker) ensureStream(ctx context.Context, at place) (jetstream.Stream, error) {
	stream, err := b.js.Stream(ctx, at.stream)
	switch {
	case !errors.Is(err, jetstream.ErrStreamNotFound):
	case !b.opts.CreateTopics:
		err = errMissing
	default:
		stream, err = b.js.CreateStream(ctx, b.opts.streamConfig(at))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // by somebody with other options
			stream, err = b.js.Stream(ctx, at.stream)
		}
	}
	if err == nil {
		err = at.requireSubject(stream.CachedInfo().Config)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", at.stream, err)
	}
	return stream, nil
}

// streamConfig has a message kept until every durable has acknowledged it, and
// refused rather than make room by removing another.
func (o Options) streamConfig(at place) jetstream.StreamConfig {
	unlimited := func(n int64) int64 {
		if n == 0 {
			return -1
		}
		return n
	}
	return jetstream.StreamConfig{
		Name:      at.stream,
		Subjects:  []string{at.subject},
		Storage:   jetstream.FileStorage,
		Retention: jetstream.InterestPolicy,
		Discard:   jetstream.DiscardNew,
		MaxMsgs:   unlimited(o.MaxLength),
		MaxBytes:  unlimited(o.MaxBytes),
		MaxAge:    o.MaxAge,
		Replicas:  o.Replicas,
	}
}

// requireSubject tells topics apart whose names differ by dots alone.
func (p place) requireSubject(c jetstream.StreamConfig) error {
	for _, subject := range c.Subjects {
		if subject == p.subject {
			return nil
		}
	}
	return fmt.Errorf("it takes the subjects %v and not %s: another topic has its name", c.Subjects, p.subject)
}

func (b *Broker) ensureDurable(ctx context.Context, stream jetstream.Stream, group string) error {
	name, err := b.opts.durable(group)
	if err != nil {
		return err
	}
	_, err = stream.Consumer(ctx, name)
	switch {
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
	case !b.opts.CreateTopics:
		err = errMissing
	default:
		_, err = stream.CreateConsumer(ctx, b.opts.durableConfig(name))
		if errors.Is(err, jetstream.ErrConsumerExists) { // made by somebody with other options
			_, err = stream.Consumer(ctx, name)
		}
	}
	if err != nil {
		return fmt.Errorf("durable %s: %w", name, err)
	}
	return nil
}

// durableConfig limits neither deliveries, which are counted here, nor what
// awaits an ack: a nacked message does so while it is delayed, and many of them
// would keep all others back. Consumers ask for no more than they can hold.
func (o Options) durableConfig(name string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       name,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       o.Lease,
		MaxDeliver:    -1,
		MaxAckPending: -1,
	}
}
