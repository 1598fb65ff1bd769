package postgres_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
)

func delivery(e domain.OutboxEntry) domain.Delivery {
	return domain.Delivery{
		OutboxID: e.ID, CourseID: e.CourseID, Run: e.Run, Queue: e.Queue, Attempt: e.Options.Attempt,
		Data: domain.JobData{CourseID: e.CourseID},
	}
}

func (b *bundle) begin(t *testing.T, e domain.OutboxEntry) domain.Verdict {
	t.Helper()
	v, _, err := b.steps.Begin(t.Context(), delivery(e))
	require.NoError(t, err)
	return v
}

func (b *bundle) advance(t *testing.T, s domain.Step) domain.Verdict {
	t.Helper()
	v, err := b.steps.Advance(t.Context(), s)
	require.NoError(t, err)
	return v
}

func TestFirstJobMovesTheCourseAndTheSecondFindsItThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	entries := b.start(t, c, domain.StateStage2Init, job(t, domain.QueueDocumentProcessing, c.ID), job(t, domain.QueueDocumentProcessing, c.ID))

	require.Equal(t, domain.VerdictWork, b.begin(t, entries[0]))
	version := b.reload(t, c).Version
	require.Equal(t, domain.VerdictWork, b.begin(t, entries[1]))
	require.Equal(t, version, b.reload(t, c).Version)
	require.Equal(t, domain.StateStage2Processing, b.reload(t, c).State)
}

func TestRedeliveredJobIsADuplicateAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	e := b.start(t, c, domain.StateStage5Init, job(t, domain.QueueStructureGeneration, c.ID))[0]
	b.begin(t, e)
	done := domain.Step{Job: delivery(e), Metadata: map[string]any{"lessons": 10}, OnLast: domain.Onward{
		States: []domain.State{domain.StateStage5Complete, domain.StateFinalizing, domain.StateCompleted},
	}}
	require.Equal(t, domain.VerdictWork, b.advance(t, done))
	before := b.rows(t)

	require.Equal(t, domain.VerdictDuplicate, b.begin(t, e))
	verdict, err := b.steps.Advance(t.Context(), done)
	require.NoError(t, err)
	require.Contains(t, []domain.Verdict{domain.VerdictDuplicate, domain.VerdictSkipped}, verdict)
	require.Equal(t, before, b.rows(t))
	require.Equal(t, domain.StateCompleted, b.reload(t, c).State)
	require.JSONEq(t, `{"lessons": 10}`, string(b.reload(t, c).Metadata))
}

// Nobody knows whether it was committed: to ask again is safe, by the inbox, and to
// take it for a refusal would fail the course.
func TestAConnectionThatBreaksInMidStepIsNoRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	e := b.start(t, c, domain.StateStage5Init, job(t, domain.QueueStructureGeneration, c.ID))[0]
	b.begin(t, e)
	dsn, proxy := through(t, b.db.Worker)
	steps := postgres.NewSteps(open(t, dsn), "workers")
	tx, err := connect(t, b.db.Superuser).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.lock_course($1)`, c.ID)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := steps.Advance(t.Context(), domain.Step{Job: delivery(e)})
		ended <- err
	}()
	b.awaitWaiters(t, 1)
	proxy.Sever()
	require.Equal(t, domain.ReasonUnavailable, domain.ReasonOf(within(t, "the end", ended)))
	require.NoError(t, tx.Rollback(t.Context()))
}

func TestResultCommittedTwiceInARunningStageCountsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	e := b.start(t, c, domain.StateStage2Init, job(t, domain.QueueDocumentProcessing, c.ID), job(t, domain.QueueDocumentProcessing, c.ID))[0]
	b.begin(t, e)
	require.Equal(t, domain.VerdictWork, b.advance(t, domain.Step{Job: delivery(e)}))
	before := b.rows(t)
	require.Equal(t, domain.VerdictDuplicate, b.advance(t, domain.Step{Job: delivery(e), Fail: "a second effect"}))
	require.Equal(t, before, b.rows(t))
	require.Equal(t, domain.StateStage2Processing, b.reload(t, c).State)
}

func TestJobOfAnOlderRunIsStale(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	e := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))[0]
	for i, state := range []domain.State{domain.StateCancelled, domain.StatePending} {
		_, err := b.commands.ChangeState(t.Context(), domain.ChangeStateCommand{
			CourseID: c.ID, Caller: b.caller, Key: domain.IdempotencyKey("change-number-" + string(rune('0'+i))),
			Fingerprint: domain.Fingerprint(strings.Repeat("a", 64)), InitiatedBy: domain.ActorTest, State: state,
		})
		require.NoError(t, err)
	}
	b.start(t, c, domain.StateStage4Init)
	require.Equal(t, domain.VerdictStale, b.begin(t, e))
	require.Equal(t, domain.StateStage4Init, b.reload(t, c).State)

	byHand := delivery(e)
	byHand.OutboxID, byHand.Run = uuid.New(), 0
	verdict, _, err := b.steps.Begin(t.Context(), byHand)
	require.NoError(t, err)
	require.Equal(t, domain.VerdictWork, verdict, "a job without a run counts as current")
}

func (b *bundle) beginOrSkip(t *testing.T, e domain.OutboxEntry) domain.Verdict {
	t.Helper()
	v, _, err := b.steps.BeginOrSkip(t.Context(), delivery(e))
	require.NoError(t, err)
	return v
}

func TestJobThatItsCourseDoesNotTakeIsUnfitUntilItIsSkippedForGood(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	e := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureGeneration, c.ID))[0]
	before := b.rows(t)
	for range 2 {
		verdict, course, err := b.steps.Begin(t.Context(), delivery(e))
		require.NoError(t, err)
		require.Equal(t, domain.VerdictUnfit, verdict)
		require.Equal(t, b.reload(t, c), course)
		require.Equal(t, before, b.rows(t), "an unfit job leaves nothing behind")
	}

	require.Equal(t, domain.VerdictSkipped, b.beginOrSkip(t, e))
	require.Equal(t, before["processed_jobs"]+1, b.rows(t)["processed_jobs"])
	require.Equal(t, domain.StateStage4Init, b.reload(t, c).State)
	require.Equal(t, domain.VerdictDuplicate, b.begin(t, e))
	require.Equal(t, domain.VerdictDuplicate, b.beginOrSkip(t, e))
}

func TestJobOfADeletedCourseIsSkipped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := domain.OutboxEntry{ID: newID(t), CourseID: uuid.New(), Queue: domain.QueueStructureGeneration}
	for _, e.Run = range []int{0, 1} {
		require.Equal(t, domain.VerdictSkipped, b.begin(t, e))
		require.Equal(t, domain.VerdictSkipped, b.beginOrSkip(t, e))
	}
	_, err := b.steps.Course(t.Context(), e.CourseID)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonCourseNotFound})
}

func TestResultThatCameTooLateForItsStageIsSkippedWhateverItIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, late := range map[string]domain.Step{
		"done":    {OnLast: domain.Onward{States: []domain.State{domain.StateStage4Complete, domain.StateStage5Init}}},
		"failed":  {Fail: "no luck"},
		"retried": {Retry: &domain.Retry{Reason: "no luck", NotBefore: time.Now()}},
	} {
		c := b.course(t)
		e := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))[0]
		stray := e
		stray.ID, stray.Run = newID(t), 0
		b.begin(t, e)
		require.Equal(t, domain.VerdictWork, b.begin(t, stray))
		require.Equal(t, domain.VerdictWork, b.advance(t, domain.Step{Job: delivery(e), OnLast: domain.Onward{
			States: []domain.State{domain.StateStage4Complete, domain.StateStage5Init},
		}}))
		events := b.events(t, c)

		late.Job = delivery(stray)
		if late.Retry != nil {
			late.Retry.Job = job(t, domain.QueueStructureAnalysis, c.ID)
		}
		require.Equal(t, domain.VerdictSkipped, b.advance(t, late), name)
		require.Equal(t, domain.StateStage5Init, b.reload(t, c).State, name)
		require.Equal(t, events, b.events(t, c), name)
		require.Equal(t, domain.VerdictDuplicate, b.begin(t, stray), name)
	}
}

func TestWorkerGivesTheCommandInTheNameOfTheCoursesOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	worker := postgres.NewCommands(open(t, b.db.Worker))
	c, err := b.steps.Course(t.Context(), b.course(t).ID)
	require.NoError(t, err)
	require.Equal(t, b.caller, c.Owner)

	cmd := b.command(t, c, "layer3:key", domain.StateStage4Init)
	cmd.Run, cmd.InitiatedBy = c.Run, domain.ActorWorker
	first, err := worker.InitializeFSM(t.Context(), cmd)
	require.NoError(t, err)
	require.Equal(t, domain.ActorWorker, first.FSMState.CreatedBy)
	require.Empty(t, first.OutboxEntries)
	again, err := worker.InitializeFSM(t.Context(), cmd)
	require.NoError(t, err)
	require.True(t, again.FromCache)
	require.Len(t, b.events(t, c), 1)
}

func TestCommandForAnotherRunIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	for _, run := range []int{c.Run + 1, c.Run + 2} {
		cmd := b.command(t, c, "key-number-1", domain.StateStage4Init)
		cmd.Run = run
		before := b.rows(t)
		_, err := b.commands.InitializeFSM(t.Context(), cmd)
		require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonIllegalTransition})
		require.Equal(t, before, b.rows(t))
	}
	cmd := b.command(t, c, "key-number-1", domain.StateStage4Init)
	cmd.Run = c.Run
	_, err := b.commands.InitializeFSM(t.Context(), cmd)
	require.NoError(t, err)
}

func TestLastOfManyConcurrentJobsBeginsTheNextStageOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 10 {
		c := b.course(t)
		jobs := make([]domain.Job, 8)
		for i := range jobs {
			jobs[i] = job(t, domain.QueueDocumentProcessing, c.ID)
		}
		entries := b.start(t, c, domain.StateStage2Init, jobs...)
		next := make([]domain.Job, len(entries))
		for i, e := range entries {
			b.begin(t, e)
			next[i] = job(t, domain.QueueSummarization, c.ID)
		}
		var wg sync.WaitGroup
		errs := make([]error, len(entries))
		for i, e := range entries {
			wg.Go(func() {
				_, errs[i] = b.steps.Advance(t.Context(), domain.Step{Job: delivery(e), OnLast: domain.Onward{
					States: []domain.State{domain.StateStage2Complete, domain.StateStage3Init}, Jobs: next[i : i+1],
				}})
			})
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.Equal(t, domain.StateStage3Init, b.reload(t, c).State)
		all, err := b.courses.Entries(t.Context(), b.caller, c.ID)
		require.NoError(t, err)
		require.Len(t, all, len(entries)+1)
	}
}

func TestRetryQueuesTheJobAgainAndHoldsTheStageBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	e := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))[0]
	b.begin(t, e)
	again := job(t, domain.QueueStructureAnalysis, c.ID)
	again.Options.Attempt = 1
	require.Equal(t, domain.VerdictWork, b.advance(t, domain.Step{Job: delivery(e), Retry: &domain.Retry{
		Job: again, NotBefore: time.Now().Add(time.Hour), Reason: "no luck",
	}}))

	require.Equal(t, domain.StateStage4Analyzing, b.reload(t, c).State)
	entries, err := b.courses.Entries(t.Context(), b.caller, c.ID)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, 1, entries[1].Options.Attempt)
	require.NotNil(t, entries[1].NextAttemptAt)
	require.Contains(t, b.eventTypes(t, c), domain.EventJobFailed)
	require.Equal(t, domain.VerdictDuplicate, b.begin(t, e))
}

func TestFailedJobFailsTheCourseWithItsReason(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	e := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))[0]
	b.begin(t, e)
	b.advance(t, domain.Step{Job: delivery(e), Fail: "the generator is out of ideas"})
	c = b.reload(t, c)
	require.Equal(t, domain.StateFailed, c.State)
	require.JSONEq(t, `{"failure": "the generator is out of ideas"}`, string(c.Metadata))
}

func TestStepStoresWhatItLearnedOfDocuments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	good, bad := b.document(t, c, "good.md"), b.document(t, c, "bad.pdf")
	e := b.start(t, c, domain.StateStage2Init, job(t, domain.QueueDocumentProcessing, c.ID))[0]
	b.begin(t, e)
	text := domain.Text{Blocks: []domain.Block{{Kind: domain.BlockHeading, Level: 1, Text: "Заголовок"}, {Kind: domain.BlockParagraph, Text: "Text."}}}
	b.advance(t, domain.Step{Job: delivery(e), Documents: []domain.DocumentResult{
		{ID: good.ID, Status: domain.DocumentProcessed, Text: &text, Chunks: domain.Chunks(text, 512, 50)},
		{ID: bad.ID, Status: domain.DocumentFailed, Error: "it is encrypted"},
	}})

	docs, err := b.steps.SourceDocuments(t.Context(), c.ID)
	require.NoError(t, err)
	require.Len(t, docs, 2)
	require.Equal(t, &text, docs[0].Text)
	require.Equal(t, "it is encrypted", docs[1].Error)
	last := b.events(t, c)
	var named bool
	for _, ev := range last {
		named = named || ev.Type == domain.EventErrorOccurred && strings.Contains(string(ev.Data), "bad.pdf")
	}
	require.True(t, named, "an unreadable document is reported by name")
	one, err := b.steps.SourceDocument(t.Context(), c.ID, bad.ID)
	require.NoError(t, err)
	require.Equal(t, "bad.pdf", one.Name)
	_, err = b.steps.SourceDocument(t.Context(), c.ID, uuid.New())
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonDocumentNotFound})
}

func (b *bundle) document(t *testing.T, c domain.Course, name string) domain.Document {
	t.Helper()
	d, err := domain.NewDocument(newID(t), c.ID, name, domain.FormatMarkdown, 3, strings.Repeat("0", 64), "key/"+name)
	require.NoError(t, err)
	d, err = b.courses.AddDocument(t.Context(), b.caller, d)
	require.NoError(t, err)
	return d
}
