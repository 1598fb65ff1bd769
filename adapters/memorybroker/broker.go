package memorybroker

import (
	"bytes"
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

var errClosed = errors.New("the memory broker is closed")

// Broker implements ports.Broker within the process.
type Broker struct {
	opts Options
	log  *slog.Logger

	mu        sync.Mutex
	closed    bool
	seq       uint64
	queues    map[string]map[string]*queue // topic, group
	consumers map[*subscriber]struct{}
}

var _ ports.Broker = (*Broker)(nil)

// New returns an empty broker, with options as from DecodeOptions. The caller
// closes it.
func New(_ context.Context, opts Options, log *slog.Logger) (*Broker, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("make memory broker: %w", err)
	}
	return &Broker{
		opts:      opts,
		log:       log,
		queues:    map[string]map[string]*queue{},
		consumers: map[*subscriber]struct{}{},
	}, nil
}

// Prepare implements ports.Broker.
func (b *Broker) Prepare(_ context.Context, topics, groups []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("prepare topics: %w", errClosed)
	}
	for _, topic := range topics {
		b.register(topic, groups...)
		if !ports.IsDeadTopic(topic) {
			b.register(ports.DeadTopic(topic), ports.GroupDead)
		}
	}
	return nil
}

// register makes the queues that are missing. The lock is held.
func (b *Broker) register(topic string, groups ...string) {
	if b.queues[topic] == nil {
		b.queues[topic] = map[string]*queue{}
	}
	for _, group := range groups {
		if b.queues[topic][group] == nil {
			b.queues[topic][group] = newQueue()
		}
	}
}

// Publish implements message.Publisher: every group of the topic gets the
// batch, whole and in order.
func (b *Broker) Publish(topic string, msgs ...*message.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	queues := slices.Collect(maps.Values(b.queues[topic]))
	switch {
	case b.closed:
		return ports.NewPublishError(ports.Unavailable, errClosed, msgs...).OrNil()
	case len(queues) == 0:
		err := fmt.Errorf("no group consumes the topic %q: register both with Prepare", topic)
		return ports.NewPublishError(ports.Refused, err, msgs...).OrNil()
	}
	fit, failed := ports.CheckBatch(b.opts.MaxMessageBytes, msgs)
	if slices.ContainsFunc(queues, func(q *queue) bool { return q.size()+len(fit) > b.opts.MaxPending }) {
		err := fmt.Errorf("a group has max_pending (%d) unsettled messages in %q: wait for its consumers", b.opts.MaxPending, topic)
		failed.Add(ports.Unavailable, err, fit...)
		return failed
	}
	for _, q := range queues {
		q.push(b.deliveries(fit))
	}
	b.seq += uint64(len(fit))
	return failed.OrNil()
}

func (b *Broker) deliveries(msgs []*message.Message) []*delivery {
	ds := make([]*delivery, len(msgs))
	for i, m := range msgs {
		ds[i] = &delivery{
			seq:      b.seq + uint64(i),
			uuid:     m.UUID,
			payload:  bytes.Clone(m.Payload),
			metadata: maps.Clone(m.Metadata),
		}
	}
	return ds
}

// Subscriber implements ports.Broker.
func (b *Broker) Subscriber(group string) (message.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fmt.Errorf("make consumer of %q: %w", group, errClosed)
	}
	s := &subscriber{broker: b, group: group, topics: map[string]*subscription{}}
	b.consumers[s] = struct{}{}
	return s, nil
}

func (b *Broker) queue(topic, group string) (*queue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queues[topic][group]
	if q == nil {
		return nil, fmt.Errorf("group %q does not consume the topic %q: register both with Prepare", group, topic)
	}
	return q, nil
}

func (b *Broker) forget(s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.consumers, s)
}

// Topics implements ports.Broker.
func (b *Broker) Topics(_ context.Context, topics, groups []string) ([]ports.TopicState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fmt.Errorf("list topics: %w", errClosed)
	}
	states := make([]ports.TopicState, 0, len(topics))
	for _, topic := range topics {
		state := ports.TopicState{Topic: topic, Exists: b.queues[topic] != nil, Detail: "within the process"}
		for _, group := range groups {
			g := ports.GroupState{Group: group}
			if q := b.queues[topic][group]; q != nil {
				g.Exists, g.Pending = true, int64(q.size())
			}
			state.Groups = append(state.Groups, g)
		}
		states = append(states, state)
	}
	return states, nil
}

// MaxMessageBytes implements ports.Broker.
func (b *Broker) MaxMessageBytes() int { return b.opts.MaxMessageBytes }

// Ping implements ports.Broker.
func (b *Broker) Ping(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("reach broker: %w", errClosed)
	}
	return nil
}

// Close refuses what is published from now on, and closes every consumer:
// each finishes what is in hand, within CloseTimeout. What is queued is gone.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	consumers := slices.Collect(maps.Keys(b.consumers))
	b.mu.Unlock()

	var wg sync.WaitGroup
	errs := make([]error, len(consumers))
	for i, s := range consumers {
		wg.Go(func() { errs[i] = s.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
