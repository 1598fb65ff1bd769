package kafkabroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/ports"
)

var errClosed = errors.New("the kafka broker is closed")

// Broker implements ports.Broker on Kafka.
type Broker struct {
	opts   Options
	log    *slog.Logger
	common []kgo.Opt   // of every client
	client *kgo.Client // for all but consuming
	admin  *kadm.Client

	mu        sync.Mutex
	closed    bool
	consumers map[*consumer]struct{}
	known     map[string]bool // topics that were prepared or published to
}

var _ ports.Broker = (*Broker)(nil)

// New returns a broker with options as from DecodeOptions. It does not connect
// yet, so that a server may come later. The caller closes it.
func New(_ context.Context, opts Options, log *slog.Logger) (*Broker, error) {
	return newBroker(opts, log, nil)
}

func newBroker(opts Options, log *slog.Logger, dialer dial) (*Broker, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("make kafka broker: %w", err)
	}
	common, err := clientOptions(opts, log, dialer)
	if err != nil {
		return nil, fmt.Errorf("make kafka broker: %w", err)
	}
	client, err := kgo.NewClient(append(publishOptions(opts), common...)...)
	if err != nil {
		return nil, fmt.Errorf("make kafka broker: %w", err)
	}
	return &Broker{
		opts:      opts,
		log:       log,
		common:    common,
		client:    client,
		admin:     kadm.NewClient(client),
		consumers: map[*consumer]struct{}{},
		known:     map[string]bool{},
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

// know notes that topics are on the broker.
func (b *Broker) know(topics ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, topic := range topics {
		b.known[topic] = true
	}
}

func (b *Broker) knows(topic string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[topic]
}

// MaxMessageBytes implements ports.Broker.
func (b *Broker) MaxMessageBytes() int { return b.opts.MaxMessageBytes }

// Ping implements ports.Broker.
func (b *Broker) Ping(ctx context.Context) error {
	if b.isClosed() {
		return fmt.Errorf("reach broker: %w", errClosed)
	}
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	if err := b.client.Ping(ctx); err != nil {
		return fmt.Errorf("reach broker: %w", err)
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
	b.client.Close()
	return errors.Join(errs...)
}
