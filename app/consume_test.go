package app_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

// Watermill's router would begin them all at once.
func TestNoMoreJobsAreInHandThanAllowed(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	in := hands{full: make(chan struct{}), limit: w.deps.Config.Concurrency}
	w.deps.Generator = generator{analyze: func() (domain.Analysis, error) {
		in.take()
		defer in.give()
		return domain.Analysis{TotalLessons: 10}, nil
	}}
	stop := w.run(t)
	msgs := make([]*message.Message, 10)
	for i := range msgs {
		msgs[i] = w.publish(uuid.NewString())
	}
	for _, m := range msgs {
		<-m.Acked()
	}
	stop()
	require.Equal(t, in.limit, in.most)
}

// Watermill's deduplicator would have recorded it before the work was done, and
// acknowledge it now.
func TestAJobThatWasGivenBackIsDoneWhenItComesAgain(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.steps.refuse = domain.Errorf(domain.ReasonUnavailable, "gone")
	stop := w.run(t)
	job := uuid.NewString()
	<-w.publish(job).Nacked()
	<-w.publish(job).Acked()
	stop()
	require.Len(t, w.steps.advanced, 2)
	require.Equal(t, w.steps.advanced[0].Job.OutboxID, w.steps.advanced[1].Job.OutboxID)
}

// run starts the workers, and returns how to stop them.
func (w *workshop) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.NewWorkers(w.deps).Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		require.NoError(t, <-done)
	}
}

// publish hands the workers a structure-analysis job.
func (w *workshop) publish(job string) *message.Message {
	m := message.NewMessage(job, []byte(`{}`))
	m.Metadata.Set(ports.MetaSubject, w.steps.course.ID.String())
	w.broker.queues[string(domain.QueueStructureAnalysis)] <- m
	return m
}

// hands counts the jobs in hand.
type hands struct {
	mu        sync.Mutex
	now, most int
	limit     int
	full      chan struct{} // closed once as many are in hand as may be
}

// take waits until the hands are full, and gives further ones a chance to come.
func (h *hands) take() {
	h.mu.Lock()
	h.now++
	if h.now > h.most {
		if h.most = h.now; h.most == h.limit {
			close(h.full)
		}
	}
	h.mu.Unlock()
	select {
	case <-h.full:
	case <-time.After(10 * time.Second):
	}
	<-time.After(10 * time.Millisecond)
}

func (h *hands) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now--
}
