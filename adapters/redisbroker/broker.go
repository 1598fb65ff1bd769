package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"lectern/ports"
)

var errClosed = errors.New("the redis broker is closed")

// Broker implements ports.Broker on Redis Streams.
type Broker struct {
	opts      Options
	log       *slog.Logger
	connector *connector
	client    *client // for all but reading

	mu        sync.Mutex
	closed    bool
	prepared  map[string]bool // topics
	consumers map[*consumer]struct{}
}

var _ ports.Broker = (*Broker)(nil)

// New returns a broker with options as from DecodeOptions. It does not connect
// yet, so that a server may come later. The caller closes it.
func New(_ context.Context, opts Options, log *slog.Logger) (*Broker, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("make redis broker: %w", err)
	}
	connector, err := newConnector(opts)
	if err != nil {
		return nil, fmt.Errorf("make redis broker: %w", err)
	}
	return &Broker{
		opts:      opts,
		log:       log,
		connector: connector,
		client:    connector.client(poolSize),
		prepared:  map[string]bool{},
		consumers: map[*consumer]struct{}{},
	}, nil
}

// Subscriber implements ports.Broker.
func (b *Broker) Subscriber(group string) (message.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fmt.Errorf("make consumer of %q: %w", group, errClosed)
	}
	c := &consumer{broker: b, group: group, topics: map[string]*subscription{}}
	b.consumers[c] = struct{}{}
	return c, nil
}

func (b *Broker) forget(c *consumer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.consumers, c)
}

// MaxMessageBytes implements ports.Broker.
func (b *Broker) MaxMessageBytes() int { return b.opts.MaxMessageBytes }

// Ping implements ports.Broker.
func (b *Broker) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	if err := b.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach broker at %s: %w", b.opts.Addresses[0], err)
	}
	return nil
}

func (b *Broker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// Close refuses what is published from now on, and closes every consumer: each
// finishes what is in hand, within CloseTimeout.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	consumers := slices.Collect(maps.Keys(b.consumers))
	b.mu.Unlock()

	var wg sync.WaitGroup
	errs := make([]error, len(consumers))
	for i, c := range consumers {
		wg.Go(func() { errs[i] = c.Close() })
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), b.client.close())
}
