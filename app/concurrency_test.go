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
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.NewWorkers(w.deps).Run(ctx) }()
	msgs := make([]*message.Message, 10)
	for i := range msgs {
		msgs[i] = message.NewMessage(uuid.NewString(), []byte(`{}`))
		msgs[i].Metadata.Set(ports.MetaSubject, w.steps.course.ID.String())
		w.broker.queues[string(domain.QueueStructureAnalysis)] <- msgs[i]
	}
	for _, m := range msgs {
		<-m.Acked()
	}
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, in.limit, in.most)
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
