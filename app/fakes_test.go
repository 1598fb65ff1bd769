package app_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// outbox is an outbox in memory. The real one is proven in adapters/postgres.
type outbox struct {
	mu       sync.Mutex
	pending  []domain.OutboxEntry
	settled  []domain.Settlement
	claims   int
	claimErr error
	changed  *app.Signal
}

func newOutbox(entries ...domain.OutboxEntry) *outbox {
	return &outbox{pending: entries, changed: app.NewSignal()}
}

func (o *outbox) Claim(_ context.Context, limit int) ([]domain.OutboxEntry, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.changed.Notify()
	o.claims++
	if o.claimErr != nil {
		return nil, o.claimErr
	}
	return append([]domain.OutboxEntry(nil), o.pending[:min(limit, len(o.pending))]...), nil
}

func (o *outbox) Settle(ctx context.Context, s domain.Settlement) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.changed.Notify()
	o.settled = append(o.settled, s)
	done := map[uuid.UUID]bool{}
	for _, e := range s.Published {
		done[e.ID] = true
	}
	for _, f := range append(append([]domain.FailedEntry(nil), s.Retry...), s.Dead...) {
		done[f.Entry.ID] = true
	}
	var left []domain.OutboxEntry
	for _, e := range o.pending {
		if !done[e.ID] {
			left = append(left, e)
		}
	}
	o.pending = left
	return nil
}

func (o *outbox) NextDue(context.Context) (time.Time, error) { return time.Time{}, nil }

func (o *outbox) Stats(context.Context) (domain.OutboxStats, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return domain.OutboxStats{Depth: int64(len(o.pending))}, o.claimErr
}

func (o *outbox) add(entries ...domain.OutboxEntry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = append(o.pending, entries...)
}

// until waits for a condition on what has been claimed and settled.
func (o *outbox) until(t *testing.T, what string, ok func(*outbox) bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		changed := o.changed.C()
		o.mu.Lock()
		done := ok(o)
		o.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("never came: %s", what)
		}
	}
}

// published records what reaches the broker, and fails what it is told to.
type broker struct {
	mu        sync.Mutex
	published map[string][]string
	fail      func(topic string, msgs []*message.Message) error
	batches   int
}

func newBroker() *broker { return &broker{published: map[string][]string{}} }

func (b *broker) Publish(topic string, msgs ...*message.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batches++
	if b.fail != nil {
		if err := b.fail(topic, msgs); err != nil {
			return err
		}
	}
	for _, m := range msgs {
		b.published[topic] = append(b.published[topic], m.UUID)
	}
	return nil
}

func (b *broker) Close() error                                      { return nil }
func (b *broker) Prepare(context.Context, []string, []string) error { return nil }
func (b *broker) Topics(context.Context, []string, []string) ([]ports.TopicState, error) {
	return nil, nil
}
func (b *broker) MaxMessageBytes() int                          { return 1 << 20 }
func (b *broker) Ping(context.Context) error                    { return nil }
func (b *broker) Subscriber(string) (message.Subscriber, error) { return nil, errNoSubscriber }

var _ ports.Broker = (*broker)(nil)

func entry(t *testing.T, queue domain.Queue) domain.OutboxEntry {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return domain.OutboxEntry{ID: id, CourseID: uuid.New(), Run: 1, Queue: queue, Data: []byte(`{}`), CreatedAt: time.Unix(0, 0)}
}
