package main

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

// relayed waits until none of a course's entries is pending.
func (s *site) relayed(t *testing.T, c domain.Course) []committedEntry {
	t.Helper()
	var got []committedEntry
	require.Eventually(t, func() bool {
		got = s.readBack(t, c.ID).Entries
		for _, e := range got {
			if e.ProcessedAt == nil {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond, "entries are still pending")
	return got
}

func pendingEntriesAreProcessed(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runRelay))
	c := s.newCourse(t)
	result := s.must(t, request(c, "key-number-1", `{"n": 1}`, `{"n": 2}`, `{"n": 3}`))
	for i, e := range s.relayed(t, c) {
		require.Equal(t, result.OutboxEntries[i].ID, e.ID)
		require.Zero(t, e.Attempts)
		require.Equal(t, 1, query[int](t, s, `select count(*)::int from `+brokerSchema+`.messages
			where group_name = 'workers' and topic = 'structure-analysis' and uuid = $1`, e.ID.String()))
	}
	require.Zero(t, query[int](t, s, `select count(*)::int from lectern.job_outbox where processed_at is null`))
}

// flaky fails the first publishes as a broker does that is there but busy.
type flaky struct {
	ports.Broker
	mu    sync.Mutex
	fails int
}

func (b *flaky) Publish(topic string, msgs ...*message.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails > 0 {
		b.fails--
		return ports.NewPublishError(ports.Retryable, errors.New("the queue is busy"), msgs...)
	}
	return b.Broker.Publish(topic, msgs...)
}

func attemptsAreTracked(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runRelay),
		fx.Decorate(func(b ports.Broker) ports.Broker { return &flaky{Broker: b, fails: 2} }),
		fx.Decorate(func(b app.Backoff) app.Backoff { b.Base = 10 * time.Millisecond; return b }))
	c := s.newCourse(t)
	s.must(t, request(c, "key-number-1", `{}`))
	got := s.relayed(t, c)
	require.Equal(t, 2, got[0].Attempts, "failed publishes")
	require.Contains(t, *got[0].LastError, "the queue is busy")
}

// The API's own command is what starts a course; the other layers then find
// nothing to do.
func layer1(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runBackup, runWorkers, runRelay))
	c := s.newCourse(t)
	_, err := s.uploads.InitiateGeneration(t.Context(), s.owner, c.ID, "key-number-1")
	require.NoError(t, err)
	require.Equal(t, domain.ActorAPI, s.readBack(t, c.ID).Events[0].CreatedBy)
	s.completes(t, c)
	s.settled(t, ports.GroupBackup, ports.GroupWorkers)
	require.Equal(t, []domain.Actor{domain.ActorAPI}, s.initialized(t, c))
	require.Empty(t, s.counted())
}

// A job reaches the broker past the API: the listener starts its course.
func layer2(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runBackup))
	c, data := s.course(t, domain.QueueStructureAnalysis, "")
	s.publish(t, domain.QueueStructureAnalysis, stray(t, data, 0))
	s.settled(t, ports.GroupBackup)
	got := s.readBack(t, c.ID)
	require.Equal(t, domain.StateStage4Init, got.State)
	require.Empty(t, got.Entries)
	require.Len(t, got.Events, 1)
	require.Equal(t, domain.ActorQueue, got.Events[0].CreatedBy)
}

// The listener is not there either: the worker starts the course, and works.
func layer3(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runWorkers))
	c, data := s.course(t, domain.QueueStructureAnalysis, domain.PipelineManual)
	s.publish(t, domain.QueueStructureAnalysis, stray(t, data, 0))
	s.settled(t, ports.GroupWorkers)
	got := s.readBack(t, c.ID)
	require.Equal(t, domain.StateStage4Complete, got.State)
	require.Equal(t, domain.EventFSMInitialized, got.Events[0].Type)
	require.Equal(t, domain.ActorWorker, got.Events[0].CreatedBy)
}
