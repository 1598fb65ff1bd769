package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
)

// consumer is one of a group's.
type consumer struct {
	broker *Broker
	group  string

	mu      sync.Mutex
	closed  bool
	topics  map[string]*subscription
	running sync.WaitGroup
}

// Subscribe implements message.Subscriber. The channel closes once ctx ends or
// the consumer is closed, and what is in hand is settled.
func (c *consumer) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	durable, lease, err := c.broker.lookUp(ctx, topic, c.group)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %q as %q: %w", topic, c.group, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("subscribe to %q: the consumer is closed", topic)
	}
	if c.topics[topic] != nil {
		return nil, fmt.Errorf("subscribe to %q: this consumer already does; make another", topic)
	}
	pull, err := newPuller(c.broker.conn, durable)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %q: %w", topic, c.broker.unreached(err))
	}
	sub := newSubscription(ctx, c.broker, topic, c.group, pull, lease)
	c.topics[topic] = sub
	c.running.Go(func() { //nolint:contextcheck // what is in hand may be finished after the end of ctx
		sub.run()
		c.forget(topic)
		close(sub.out)
	})
	return sub.out, nil
}

// lookUp returns a group's durable on a topic, and the lease that it really has.
func (b *Broker) lookUp(ctx context.Context, topic, group string) (place durable, lease time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	at, err := b.opts.place(topic)
	if err != nil {
		return durable{}, 0, err
	}
	name, err := b.opts.durable(group)
	if err != nil {
		return durable{}, 0, err
	}
	found, err := b.js.Consumer(ctx, at.stream, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound):
		return durable{}, 0, errors.New("the group does not consume the topic: register both with Prepare")
	case err != nil:
		return durable{}, 0, b.unreached(err)
	}
	config := found.CachedInfo().Config
	if config.AckPolicy != jetstream.AckExplicitPolicy {
		return durable{}, 0, fmt.Errorf("the durable %s of stream %s must acknowledge explicitly", name, at.stream)
	}
	return durable{at.stream, name}, config.AckWait, nil
}

func (c *consumer) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.topics, topic)
}

// Close implements message.Subscriber. It waits for what is in hand, up to
// CloseTimeout, and gives back the rest; CloseTimeout and Timeout are the most
// that it takes.
func (c *consumer) Close() error {
	c.mu.Lock()
	c.closed = true
	for _, sub := range c.topics {
		sub.stop()
	}
	c.mu.Unlock()
	c.running.Wait()
	c.broker.forget(c)
	return nil
}
