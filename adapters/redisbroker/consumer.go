package redisbroker

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"
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
	if err := c.broker.requireGroup(ctx, topic, c.group); err != nil {
		return nil, fmt.Errorf("subscribe to %q: %w", topic, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("subscribe to %q: the consumer is closed", topic)
	}
	if c.topics[topic] != nil {
		return nil, fmt.Errorf("subscribe to %q: this consumer already does; make another", topic)
	}
	sub := newSubscription(ctx, c.broker, topic, c.group)
	c.topics[topic] = sub
	c.running.Go(func() { //nolint:contextcheck // what is in hand may be finished after the end of ctx
		sub.run()
		c.forget(topic)
		close(sub.out)
	})
	return sub.out, nil
}

func (b *Broker) requireGroup(ctx context.Context, topic, group string) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	groups, err := groupInfos(ctx, b.client.Client, b.opts.stream(topic))
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(groups, func(g redis.XInfoGroup) bool { return g.Name == b.opts.group(group) }) {
		return fmt.Errorf("the stream %q has no group %q: register both with Prepare", b.opts.stream(topic), b.opts.group(group))
	}
	return nil
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
