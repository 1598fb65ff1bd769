package main

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

func TestJobsThatNoCourseTakesAreSkippedByBothLayers(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup, runWorkers))
	groups := []string{ports.GroupBackup, ports.GroupWorkers}
	skipped := func(layer app.Layer, queue domain.Queue) int64 {
		return s.counted()[app.DefenceCount{Layer: layer, Queue: queue, Outcome: app.DefenceSkipped}]
	}
	completed, data := s.course(t, "", "")
	s.publish(t, domain.QueueStructureGeneration, stray(t, data, 0))
	s.settled(t, groups...)
	require.Equal(t, domain.StateCompleted, s.state(t, completed))
	pending, pendingData := s.course(t, "", "")

	for _, queue := range domain.Queues() {
		t.Run("deleted course "+string(queue), func(t *testing.T) {
			deleted, data := s.course(t, queue, "")
			query[uuid.UUID](t, s, `delete from lectern.courses where id = $1 returning id`, deleted.ID)
			before2, before3, inbox := skipped(app.Layer2, queue), skipped(app.Layer3, queue), s.inbox(t)
			s.publish(t, queue, stray(t, data, 0), stray(t, data, 1))
			s.settled(t, groups...)
			require.Equal(t, before2+2, skipped(app.Layer2, queue))
			require.Equal(t, before3+2, skipped(app.Layer3, queue))
			require.Equal(t, inbox, s.inbox(t), "the inbox goes with its course")
		})
		t.Run("completed course "+string(queue), func(t *testing.T) {
			inbox, initialized := s.inbox(t), s.initialized(t, completed)
			before2, before3 := skipped(app.Layer2, queue), skipped(app.Layer3, queue)
			s.publish(t, queue, stray(t, data, 0), stray(t, data, 1))
			s.settled(t, groups...)
			require.Equal(t, domain.StateCompleted, s.state(t, completed))
			require.Equal(t, initialized, s.initialized(t, completed))
			require.Equal(t, inbox["skipped"]+2, s.inbox(t)["skipped"])
			require.Equal(t, before2, skipped(app.Layer2, queue), "layer 2 looks at pending courses alone")
			if queue != domain.QueueDocumentProcessing { // whose layer 3 looks at pending courses alone
				require.Equal(t, before3+2, skipped(app.Layer3, queue))
			}
		})
	}
	t.Run("summarization on a pending course", func(t *testing.T) {
		before2, before3, inbox := skipped(app.Layer2, domain.QueueSummarization), skipped(app.Layer3, domain.QueueSummarization), s.inbox(t)
		s.publish(t, domain.QueueSummarization, stray(t, pendingData, 0))
		s.settled(t, groups...)
		require.Equal(t, domain.StatePending, s.state(t, pending))
		require.Equal(t, before2+1, skipped(app.Layer2, domain.QueueSummarization))
		require.Equal(t, before3+1, skipped(app.Layer3, domain.QueueSummarization))
		require.Equal(t, inbox["skipped"]+1, s.inbox(t)["skipped"])
	})
	for count, n := range s.counted() {
		require.NotEqual(t, app.DefenceFailed, count.Outcome, n)
	}
}

func TestJobOfAnOlderRunMovesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup, runWorkers))
	for _, queue := range domain.Queues() {
		c, data := s.course(t, queue, "")
		s.restart(t, c)
		s.publish(t, queue, stray(t, data, 1))
		s.settled(t, ports.GroupBackup, ports.GroupWorkers)
		require.Equal(t, domain.StatePending, s.state(t, c))
		require.Empty(t, s.initialized(t, c))
	}
	require.Equal(t, map[string]int{"stale": 4}, s.inbox(t))
	require.Empty(t, s.counted())
}

// Twenty strays a course, some of them twice: whichever layer sees whichever
// first, each course is started once, and none of the others does it harm.
func TestAThousandStraysAtOnceStartEachCourseOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup, runWorkers))
	ends := map[domain.Queue]domain.State{
		domain.QueueDocumentProcessing:  domain.StateStage2Complete,
		domain.QueueStructureAnalysis:   domain.StateStage4Complete,
		domain.QueueStructureGeneration: domain.StateCompleted,
	}
	courses := map[domain.Queue][]domain.Course{}
	strays := map[domain.Queue][]*message.Message{}
	for queue := range ends {
		for range 17 {
			c, data := s.course(t, queue, domain.PipelineManual)
			courses[queue] = append(courses[queue], c)
			for range 5 {
				twice := stray(t, data, 0)
				strays[queue] = append(strays[queue], twice, stray(t, data, 1), stray(t, data, 0), twice)
			}
		}
	}
	for queue, msgs := range strays {
		s.publish(t, queue, msgs...)
	}
	s.settled(t, ports.GroupBackup, ports.GroupWorkers)

	for queue, end := range ends {
		for _, c := range courses[queue] {
			require.Equal(t, end, s.state(t, c))
			require.Len(t, s.initialized(t, c), 1)
		}
		counted := s.counted()
		by2 := counted[app.DefenceCount{Layer: app.Layer2, Queue: queue, Outcome: app.DefenceInitialized}]
		by3 := counted[app.DefenceCount{Layer: app.Layer3, Queue: queue, Outcome: app.DefenceInitialized}]
		require.EqualValues(t, len(courses[queue]), by2+by3)
	}
	for count, n := range s.counted() {
		require.NotEqual(t, app.DefenceFailed, count.Outcome, n)
	}
	inbox := s.inbox(t)
	require.Equal(t, 3*17*15, inbox["completed"]+inbox["skipped"], "each job is in the inbox once")
	require.Len(t, inbox, 2)
}
