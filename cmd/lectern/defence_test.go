package main

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

func TestLayer2InitializesAPendingCourseForAJobPastTheAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup))
	for queue, state := range map[domain.Queue]domain.State{
		domain.QueueDocumentProcessing:  domain.StateStage2Init,
		domain.QueueStructureAnalysis:   domain.StateStage4Init,
		domain.QueueStructureGeneration: domain.StateStage5Init,
	} {
		t.Run(string(queue), func(t *testing.T) {
			c, data := s.course(t, queue, "")
			s.publish(t, queue, stray(t, data, 0))
			s.settled(t, ports.GroupBackup)
			require.Equal(t, state, s.state(t, c))
			require.Equal(t, []domain.Actor{domain.ActorQueue}, s.initialized(t, c))
			entries, err := s.uploads.Entries(t.Context(), s.owner, c.ID)
			require.NoError(t, err)
			require.Empty(t, entries, "a job of its own would be done twice")
			require.EqualValues(t, 1, s.counted()[app.DefenceCount{Layer: app.Layer2, Queue: queue, Outcome: app.DefenceInitialized}])
		})
	}
	t.Run("summarization has no way there", func(t *testing.T) {
		c, data := s.course(t, domain.QueueSummarization, "")
		s.publish(t, domain.QueueSummarization, stray(t, data, 0))
		s.settled(t, ports.GroupBackup)
		require.Equal(t, domain.StatePending, s.state(t, c))
		require.Empty(t, s.initialized(t, c))
		require.EqualValues(t, 1, s.counted()[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueSummarization, Outcome: app.DefenceSkipped}])
	})
}

// What only the group of layer 2 sees, the workers can't have done.
func TestTheServiceRunsLayer2(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker))
	c, data := s.course(t, domain.QueueStructureAnalysis, "")
	msg := stray(t, data, 0)
	query[int64](t, s, `insert into `+brokerSchema+`.messages (topic, group_name, uuid, payload, metadata)
		values ('structure-analysis', 'backup', $1, $2, '{}') returning seq`, msg.UUID, []byte(msg.Payload))
	err := withService(t.Context(), s.config, slog.New(slog.DiscardHandler), nil, func(context.Context, string) error {
		s.settled(t, ports.GroupBackup) //nolint:contextcheck // it waits with the test's context, as everywhere
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []domain.Actor{domain.ActorQueue}, s.initialized(t, c))
}

// The second delivery comes when the course is pending again: only the key
// tells that this job has had its command.
func TestRedeliveredJobOfLayer2HasNoSecondEffect(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup))
	c, data := s.course(t, domain.QueueStructureAnalysis, "")
	msg := stray(t, data, 0)
	s.publish(t, domain.QueueStructureAnalysis, msg, msg)
	s.settled(t, ports.GroupBackup)
	s.restart(t, c)
	s.publish(t, domain.QueueStructureAnalysis, msg)
	s.settled(t, ports.GroupBackup)
	require.Equal(t, domain.StatePending, s.state(t, c))
	require.Equal(t, []domain.Actor{domain.ActorQueue}, s.initialized(t, c))
	counted := s.counted()
	require.EqualValues(t, 1, counted[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceInitialized}])
	require.GreaterOrEqual(t, counted[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceSkipped}], int64(1))
	require.Zero(t, counted[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceFailed}])
}

func TestLayer3InitializesTheCourseAndTheWorkIsDone(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runWorkers))
	for queue, done := range map[domain.Queue]domain.State{
		domain.QueueDocumentProcessing:  domain.StateStage2Complete,
		domain.QueueStructureAnalysis:   domain.StateStage4Complete,
		domain.QueueStructureGeneration: domain.StateCompleted,
	} {
		t.Run(string(queue), func(t *testing.T) {
			c, data := s.course(t, queue, domain.PipelineManual)
			s.publish(t, queue, stray(t, data, 0))
			s.settled(t, ports.GroupWorkers)
			require.Equal(t, done, s.state(t, c))
			require.Equal(t, []domain.Actor{domain.ActorWorker}, s.initialized(t, c))
			require.EqualValues(t, 1, s.counted()[app.DefenceCount{Layer: app.Layer3, Queue: queue, Outcome: app.DefenceInitialized}])
		})
	}
	t.Run("summarization after stage 2", func(t *testing.T) {
		c, data := s.course(t, domain.QueueSummarization, domain.PipelineManual)
		s.publish(t, domain.QueueDocumentProcessing, stray(t, data, 0))
		s.settled(t, ports.GroupWorkers)
		s.publish(t, domain.QueueSummarization, stray(t, data, 0))
		s.settled(t, ports.GroupWorkers)
		require.Equal(t, domain.StateStage3Complete, s.state(t, c))
		require.Equal(t, []domain.Actor{domain.ActorWorker, domain.ActorWorker}, s.initialized(t, c))
		require.EqualValues(t, 1, s.counted()[app.DefenceCount{Layer: app.Layer3, Queue: domain.QueueSummarization, Outcome: app.DefenceInitialized}])
	})
	require.Equal(t, map[string]int{"completed": 5}, s.inbox(t))
}
