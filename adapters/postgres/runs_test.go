package postgres_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// queued makes a course that is about to do three jobs of a queue, which the
// broker has.
func (b *bundle) queued(t *testing.T, queue domain.Queue) (domain.Course, []domain.OutboxEntry) {
	t.Helper()
	c := b.course(t)
	jobs := []domain.Job{job(t, queue, c.ID), job(t, queue, c.ID), job(t, queue, c.ID)}
	if queue == domain.QueueSummarization { // which no command begins with
		first := b.start(t, c, domain.StateStage2Init, job(t, domain.QueueDocumentProcessing, c.ID))[0]
		require.Equal(t, domain.VerdictWork, b.begin(t, first))
		b.advance(t, domain.Step{Job: delivery(first), OnLast: domain.Onward{
			States: []domain.State{domain.StateStage2Complete, domain.StateStage3Init}, Jobs: jobs,
		}})
	} else {
		b.start(t, c, queue.InitialState(), jobs...)
	}
	b.publish(t)
	entries, err := b.courses.Entries(t.Context(), b.caller, c.ID)
	require.NoError(t, err)
	return c, entries[len(entries)-3:]
}

// leadsOn is a result that would lead its course on to the next stage.
func leadsOn(t *testing.T, e domain.OutboxEntry) domain.Step {
	t.Helper()
	return domain.Step{Job: delivery(e), Metadata: map[string]any{"late": true}, OnLast: domain.Onward{
		States: []domain.State{domain.StateStage4Complete}, Jobs: []domain.Job{job(t, domain.QueueStructureGeneration, e.CourseID)},
	}}
}

// What a run left in the outbox and on the broker when it was cancelled still
// arrives, and does nothing: not while the course is cancelled, and not once
// it is on its next run.
func TestCancelAtAnyStageStopsWhatIsQueuedAndWhatIsInHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, queue := range domain.Queues() {
		for _, inHand := range []bool{false, true} {
			name := fmt.Sprintf("%s, in hand: %t", queue, inHand)
			c, jobs := b.queued(t, queue)
			if inHand {
				require.Equal(t, domain.VerdictWork, b.begin(t, jobs[0]), name)
			}
			b.change(t, c, domain.StateCancelled)
			cancelled, before := b.reload(t, c), b.rows(t)
			require.Equal(t, domain.VerdictSkipped, b.advance(t, leadsOn(t, jobs[0])), name)
			require.Equal(t, domain.VerdictUnfit, b.begin(t, jobs[1]), name)
			require.Equal(t, domain.VerdictSkipped, b.beginOrSkip(t, jobs[1]), name)
			require.Equal(t, cancelled, b.reload(t, c), name)
			before["processed_jobs"] += 2 // which is all that it leaves behind
			require.Equal(t, before, b.rows(t), name)

			b.change(t, c, domain.StatePending)
			next := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
			restarted, before := b.reload(t, c), b.rows(t)
			require.Equal(t, domain.VerdictStale, b.begin(t, jobs[2]), name)
			require.Equal(t, domain.VerdictDuplicate, b.begin(t, jobs[1]), name)
			require.Equal(t, domain.VerdictDuplicate, b.advance(t, leadsOn(t, jobs[0])), name)
			require.Equal(t, restarted, b.reload(t, c), name)
			before["processed_jobs"]++
			require.Equal(t, before, b.rows(t), name)
			require.Equal(t, domain.VerdictWork, b.begin(t, next[len(next)-1]), "%s: the new run's own", name)
			b.publish(t)
		}
	}
}

// A job that was in hand when its run ended ends in the middle of the next one,
// in the same stage.
func TestRestartFromEachEndBeginsARunThatTheOldOnesJobsDoNothingTo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for end, step := range map[domain.State]domain.Step{
		domain.StateCompleted: {OnLast: domain.Onward{States: []domain.State{domain.StateStage5Complete, domain.StateFinalizing, domain.StateCompleted}}},
		domain.StateFailed:    {Fail: "it could not be written"},
		domain.StateCancelled: {},
	} {
		c := b.course(t)
		e := b.start(t, c, domain.StateStage5Init, job(t, domain.QueueStructureGeneration, c.ID))[0]
		require.Equal(t, domain.VerdictWork, b.begin(t, e))
		stray := delivery(e) // another of the same run, as one that came past the API
		stray.OutboxID = uuid.New()
		if end == domain.StateCancelled {
			b.change(t, c, end)
		} else {
			step.Job = delivery(e)
			require.Equal(t, domain.VerdictWork, b.advance(t, step))
		}
		require.Equal(t, end, b.reload(t, c).State)

		b.change(t, c, domain.StatePending)
		entries := b.start(t, c, domain.StateStage5Init, job(t, domain.QueueStructureGeneration, c.ID))
		fresh := entries[len(entries)-1]
		require.Equal(t, 2, fresh.Run)
		require.Equal(t, domain.VerdictWork, b.begin(t, fresh))
		running := b.reload(t, c)
		late := leadsOn(t, e)
		late.Job = stray
		require.Equal(t, domain.VerdictStale, b.advance(t, late), end)
		require.NotEqual(t, domain.VerdictWork, b.advance(t, leadsOn(t, e)), end)
		require.NotEqual(t, domain.VerdictWork, b.begin(t, e), end)
		require.Equal(t, running, b.reload(t, c), end)
	}
}
