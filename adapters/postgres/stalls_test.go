package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
)

const stallAfter = 30 * time.Minute

// failStalled looks once, as a worker's process does.
func (b *bundle) failStalled(t *testing.T) []uuid.UUID {
	t.Helper()
	failed, err := postgres.NewStalls(open(t, b.db.Worker), "workers").FailStalled(t.Context(), stallAfter, 100)
	require.NoError(t, err)
	return failed
}

// standStill has the given time pass for all that there is.
func (b *bundle) standStill(t *testing.T, d time.Duration) {
	t.Helper()
	b.admin(t, fmt.Sprintf(`alter table lectern.courses disable trigger guard_course_state;
		update lectern.courses set updated_at = updated_at - interval '%[1]d seconds';
		alter table lectern.courses enable trigger guard_course_state;
		update lectern.job_outbox set processed_at = processed_at - interval '%[1]d seconds';
		update lectern.processed_jobs set processed_at = processed_at - interval '%[1]d seconds'`, int(d.Seconds())))
}

// publish settles all that can be claimed as published.
func (b *bundle) publish(t *testing.T) {
	t.Helper()
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{Published: b.claim(t)}))
}

// change cancels or restarts a course.
func (b *bundle) change(t *testing.T, c domain.Course, state domain.State) {
	t.Helper()
	_, err := b.commands.ChangeState(t.Context(), domain.ChangeStateCommand{
		CourseID: c.ID, Caller: b.caller, Key: domain.IdempotencyKey("change-" + newID(t).String()),
		Fingerprint: domain.Fingerprint(strings.Repeat("a", 64)), InitiatedBy: domain.ActorTest, State: state,
	})
	require.NoError(t, err)
}

// begun makes a course whose one job the broker has, and a worker has begun.
func (b *bundle) begun(t *testing.T) (domain.Course, domain.OutboxEntry) {
	t.Helper()
	c := b.course(t)
	e := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))[0]
	b.publish(t)
	require.Equal(t, domain.VerdictWork, b.begin(t, e))
	return c, e
}

func TestACourseWhoseJobWasLostFailsWithTheReasonAndCanBeRestarted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, e := b.begun(t)
	require.Empty(t, b.failStalled(t), "its time is not over")
	b.standStill(t, stallAfter-time.Minute)
	require.Empty(t, b.failStalled(t), "its time is nearly over")
	b.standStill(t, 2*time.Minute)
	require.Equal(t, []uuid.UUID{c.ID}, b.failStalled(t))

	failed := b.reload(t, c)
	require.Equal(t, domain.StateFailed, failed.State)
	require.Regexp(t, `"nothing has happened since 20\d\d-\d\d-\d\d \d\d:\d\d UTC: the broker was given the job for structure-analysis \(`+e.ID.String()+
		`\), and no worker has done it; it may be lost, or among the dead letters; restart the course"`, string(failed.Metadata))
	events := b.events(t, c)
	require.Equal(t, domain.ActorWorker, events[len(events)-1].CreatedBy)
	require.Empty(t, b.failStalled(t), "it has ended")

	// The job turns up after all.
	require.Equal(t, domain.VerdictSkipped, b.advance(t, domain.Step{Job: delivery(e)}))
	b.change(t, c, domain.StatePending)
	b.standStill(t, 2*stallAfter)
	require.Empty(t, b.failStalled(t), "it waits for its author")
	b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
	require.Equal(t, 2, b.reload(t, c).Run)
}

func TestACourseThatNoJobLeadsOnFailsToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.start(t, c, domain.StateStage4Init)
	b.standStill(t, 2*stallAfter)
	require.Equal(t, []uuid.UUID{c.ID}, b.failStalled(t))
	require.Contains(t, string(b.reload(t, c).Metadata), "no job is on its way that would lead on from stage_4_init")
}

// Each of these courses stands still, and is left alone.
func TestACourseThatWaitsForSomethingHasNotStalled(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(*testing.T, *bundle) domain.Course{
		"for the relay": func(t *testing.T, b *bundle) domain.Course {
			t.Helper()
			c := b.course(t)
			b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
			b.standStill(t, 2*stallAfter)
			return c
		},
		"for a job that the relay has sent just now, after a long outage": func(t *testing.T, b *bundle) domain.Course {
			t.Helper()
			c := b.course(t)
			b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
			b.standStill(t, 2*stallAfter)
			b.publish(t)
			return c
		},
		"for the time of its next attempt": func(t *testing.T, b *bundle) domain.Course {
			t.Helper()
			c, e := b.begun(t)
			b.advance(t, domain.Step{Job: delivery(e), Retry: &domain.Retry{
				Job: job(t, e.Queue, c.ID), NotBefore: time.Now().Add(24 * time.Hour), Reason: "not now",
			}})
			b.standStill(t, 2*stallAfter)
			return c
		},
		"for its turn among many": func(t *testing.T, b *bundle) domain.Course {
			t.Helper()
			_, first := b.begun(t)
			c := b.course(t)
			b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
			b.publish(t)
			b.standStill(t, 2*stallAfter)
			b.advance(t, domain.Step{Job: delivery(first)}) // just now
			return c
		},
		"for its caller, between the stages": func(t *testing.T, b *bundle) domain.Course {
			t.Helper()
			c, e := b.begun(t)
			b.admin(t, `update lectern.courses set settings = '{"pipeline": "manual"}' where id = '`+c.ID.String()+`'`)
			b.advance(t, domain.Step{Job: delivery(e), OnLast: domain.Onward{States: []domain.State{domain.StateStage4Complete}}})
			b.standStill(t, 2*stallAfter)
			return c
		},
		"for its author, to begin": func(t *testing.T, b *bundle) domain.Course {
			t.Helper()
			c := b.course(t)
			b.standStill(t, 2*stallAfter)
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := wait(t, b)
			before := b.reload(t, c)
			require.NotContains(t, b.failStalled(t), c.ID)
			require.Equal(t, before, b.reload(t, c))
		})
	}
}

// Jobs that were sent later are done meanwhile, so its own has been passed over.
func TestACourseWhoseJobWasPassedOverFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, _ := b.begun(t)
	b.standStill(t, stallAfter)
	_, later := b.begun(t)
	b.advance(t, domain.Step{Job: delivery(later)})
	require.Equal(t, []uuid.UUID{c.ID}, b.failStalled(t))
}

// A worker commits the job at the very moment that the course is found to have
// stalled: whichever comes first counts, and whole.
func TestAJobDoneJustThenAndTheLookForStallsTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, e := b.begun(t)
	b.standStill(t, 2*stallAfter)

	tx, err := connect(t, b.db.Worker).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.advance_course($1, 'workers', $2, $3,
		'{"queue": "structure-analysis", "working": "stage_4_analyzing", "on_last": {"states": ["stage_4_complete"], "jobs": []}}')`, e.ID, c.ID, e.Run)
	require.NoError(t, err)
	require.Empty(t, b.failStalled(t), "its lock is held: it is not waited for")
	require.NoError(t, tx.Commit(t.Context()))
	require.Empty(t, b.failStalled(t))
	require.Equal(t, domain.StateStage4Complete, b.reload(t, c).State)

	// The other way round: the look has the lock, and the job waits for it.
	c, e = b.begun(t)
	b.standStill(t, 2*stallAfter)
	tx, err = connect(t, b.db.Worker).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.fail_stalled_courses($1, 'workers', 100)`, stallAfter)
	require.NoError(t, err)
	require.Empty(t, b.failStalled(t), "another process is at it")
	verdict := make(chan domain.Verdict, 1)
	go func() {
		v, _ := b.steps.Advance(context.Background(), domain.Step{Job: delivery(e)})
		verdict <- v
	}()
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, domain.VerdictSkipped, within(t, "the verdict", verdict))
	require.Equal(t, domain.StateFailed, b.reload(t, c).State)
}

func TestManyStalledCoursesAreFailedInBatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 5 {
		b.start(t, b.course(t), domain.StateStage4Init)
	}
	b.standStill(t, 2*stallAfter)
	stalls := postgres.NewStalls(open(t, b.db.Worker), "workers")
	for _, want := range []int{2, 2, 1, 0} {
		failed, err := stalls.FailStalled(t.Context(), stallAfter, 2)
		require.NoError(t, err)
		require.Len(t, failed, want)
	}
	_, err := stalls.FailStalled(t.Context(), 0, 2)
	require.ErrorContains(t, err, "a time and a limit")
}
