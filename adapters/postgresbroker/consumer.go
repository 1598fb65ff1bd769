package postgresbroker

import (
	"context"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
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
	if err := c.broker.requireRegistered(ctx, topic, c.group); err != nil {
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
	return c.subscribe(ctx, topic)
}

func (c *consumer) subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	b := c.broker
	signal, remove := b.signals.add(topic)
	sub := newSubscription(ctx, b, topic, c.group, signal)
	for range b.opts.Concurrency {
		//nolint:contextcheck // what is in hand may be finished after the end of ctx
		if err := sub.start(b.db, b.queries); err != nil {
			sub.stop()
			sub.run(remove)
			return nil, fmt.Errorf("subscribe to %q: %w", topic, err)
		}
	}
	c.topics[topic] = sub
	c.running.Go(func() {
		sub.run(func() {
			remove()
			c.forget(topic)
		})
	})
	return sub.out, nil
}

func (c *consumer) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.topics, topic)
}

// Close implements message.Subscriber. It waits for what is in hand, up to
// CloseTimeout, and gives back the rest.
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
