package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"lectern/ports"
)

var errClosed = errors.New("the nats broker is closed")

// Broker implements ports.Broker on NATS JetStream.
type Broker struct {
	opts Options
	log  *slog.Logger
	conn *nats.Conn
	js   jetstream.JetStream
	gone chan struct{} // closed when the connection is for good

	failure atomic.Pointer[error] // of the last attempt to connect

	mu        sync.Mutex
	closed    bool
	prepared  map[string]bool // topics with groups, by Prepare
	ready     map[string]bool // topics that a group consumes
	consumers map[*consumer]struct{}
}

var _ ports.Broker = (*Broker)(nil)

// maxAcksPending is above what all topics' batches have under way at once.
const maxAcksPending = 1 << 17

// New returns a broker with options as from DecodeOptions. It tries to connect,
// and goes on trying: a server may come later. The caller closes it.
func New(_ context.Context, opts Options, log *slog.Logger) (*Broker, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("make nats broker: %w", err)
	}
	b := &Broker{
		opts:      opts,
		log:       log,
		gone:      make(chan struct{}),
		prepared:  map[string]bool{},
		ready:     map[string]bool{},
		consumers: map[*consumer]struct{}{},
	}
	var err error
	if b.conn, err = b.connect(); err != nil {
		return nil, fmt.Errorf("make nats broker: %w", err)
	}
	b.js, err = jetstream.New(b.conn, jetstream.WithPublishAsyncTimeout(opts.Timeout), jetstream.WithPublishAsyncMaxPending(maxAcksPending))
	if err != nil {
		b.conn.Close()
		<-b.gone
		return nil, fmt.Errorf("make nats broker: %w", err)
	}
	return b, nil
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

// Ping implements ports.Broker. A server without JetStream is none.
func (b *Broker) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	if _, err := b.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("reach broker: %w", b.unreached(err))
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
	b.conn.Close()
	<-b.gone
	return errors.Join(errs...)
}
