package portstest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

// streamLag is how many messages of a stream wait for a consumer at most.
const streamLag = 50

// stream is messages that flow through a broker while something happens to it.
// What failed retryably is published again; nothing may be lost on the way.
type stream struct {
	*brokerT
	publishing sync.WaitGroup
	stop       context.CancelFunc
	abandoned  atomic.Bool // the test has ended

	mu       sync.Mutex
	changed  chan struct{} // closed on every change
	waiting  map[string]bool
	pressing bool // publish more, however many wait
	consumed int  // messages, each counted once
	failures int
}

// startStream publishes until finish; nobody consumes yet.
func (t *brokerT) startStream(b ports.Broker) *stream {
	t.Helper()
	s := &stream{brokerT: t, changed: make(chan struct{}), waiting: map[string]bool{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s.stop = cancel
	t.Cleanup(func() {
		s.abandoned.Store(true)
		cancel()
		s.publishing.Wait()
	})
	s.publishing.Go(func() { s.publish(ctx, b) })
	return s
}

func (s *stream) publish(ctx context.Context, b ports.Broker) {
	for ctx.Err() == nil {
		msgs := newMessages(streamLag / 5)
		s.change(func() {
			for _, m := range msgs {
				s.waiting[m.UUID] = true
			}
		})
		for len(msgs) > 0 && !s.abandoned.Load() {
			msgs = s.failed(b.Publish(topic, msgs...), msgs)
		}
		_ = s.until(ctx, func() bool { return len(s.waiting) < streamLag || s.pressing })
	}
}

// failed returns what is to be published again, after a pause if there is any.
func (s *stream) failed(err error, msgs message.Messages) (again message.Messages) {
	if err == nil {
		return nil
	}
	var failed *ports.PublishError
	if !errors.As(err, &failed) {
		s.Errorf("publishing failed, and not by a PublishError: %v", err)
		return nil
	}
	for _, m := range msgs {
		if e, ok := failed.Failed[m.UUID]; ok {
			assert.NotEqual(s, ports.Refused.String(), e.Failure.String(), e.Err)
			again = append(again, m)
		}
	}
	s.change(func() { s.failures++ })
	<-time.After(tick)
	return again
}

// join adds a consumer, which acks what comes until it is closed.
func (s *stream) join(b ports.Broker) message.Subscriber {
	s.Helper()
	sub, msgs := s.consume(b, group)
	go func() {
		for m := range msgs {
			s.change(func() {
				if s.waiting[m.UUID] {
					s.consumed++
				}
				delete(s.waiting, m.UUID)
			})
			m.Ack()
		}
	}()
	return sub
}

func (s *stream) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits for a condition.
func (s *stream) until(ctx context.Context, holds func() bool) error {
	for {
		s.mu.Lock()
		ok, changed := holds(), s.changed
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *stream) must(what string, holds func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeoutCause(s.Context(), patience, errors.New(what))
	defer cancel()
	if s.until(ctx, holds) != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		require.FailNow(s, what, "%d messages wait", len(s.waiting))
	}
}

// await waits until n more messages were consumed.
func (s *stream) await(n int) {
	s.Helper()
	s.mu.Lock()
	target := s.consumed + n
	s.mu.Unlock()
	s.must("the stream stands still", func() bool { return s.consumed >= target })
}

// awaitFailure waits until publishing has failed once more.
func (s *stream) awaitFailure() {
	s.Helper()
	target := 0
	s.change(func() { s.pressing, target = true, s.failures+1 })
	s.must("no publishing failed", func() bool { return s.failures >= target })
	s.change(func() { s.pressing = false })
}

// finish ends the publishing, and requires that all of it is consumed.
func (s *stream) finish() {
	s.Helper()
	s.stop()
	require.NoError(s, s.returns("the stream's publishing", func() error { s.publishing.Wait(); return nil }))
	s.must("messages were lost", func() bool { return len(s.waiting) == 0 })
}
