package kafkabroker

import (
	"context"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// consumer is one of a group's. Each of its subscriptions is a member of its own
// of the group on that topic.
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
	if err := c.broker.requirePrepared(ctx, topic, c.group); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("subscribe to %q: the consumer is closed", topic)
	}
	if c.topics[topic] != nil {
		return nil, fmt.Errorf("subscribe to %q: this consumer already does; make another", topic)
	}
	sub, err := newSubscription(ctx, c.broker, topic, c.group)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %q: %w", topic, err)
	}
	c.topics[topic] = sub
	c.running.Go(func() { //nolint:contextcheck // what is in hand may be finished after the end of ctx
		sub.run()
		c.forget(topic)
		close(sub.out)
	})
	return sub.out, nil
}

// requirePrepared fails for what Prepare has not seen.
func (b *Broker) requirePrepared(ctx context.Context, topic, group string) error {
	if b.isClosed() {
		return errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	state, err := b.topic(ctx, topic, []string{group})
	if err != nil {
		return fmt.Errorf("look up group %q of the topic %q: %w", group, topic, err)
	}
	if !state.Groups[0].Exists {
		return fmt.Errorf("group %q does not consume the topic %q: register both with Prepare", group, topic)
	}
	return nil
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
