package app_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

// initializer records the commands that the layers give, and answers as it is told.
type initializer struct {
	ports.Commands
	mu     sync.Mutex
	given  []domain.InitializeFSMCommand
	result domain.InitializeFSMResult
	err    error
}

func (c *initializer) InitializeFSM(_ context.Context, cmd domain.InitializeFSMCommand) (domain.InitializeFSMResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given = append(c.given, cmd)
	return c.result, c.err
}

// listener makes layer 2 on the workshop's broker.
func (w *workshop) listener() *app.BackupListener {
	return app.NewBackupListener(app.BackupDeps{
		Steps: w.steps, Defence: w.deps.Defence, Broker: w.deps.Broker, Old: w.deps.Old, Backoff: w.deps.Backoff, Now: time.Now, Log: quiet(), Concurrency: 2,
	})
}

// listening is layer 2 as the workshop runs it.
func listening(l *app.BackupListener) func(context.Context) error {
	return func(ctx context.Context) error {
		l.Run(ctx)
		return nil
	}
}

// arrive runs layer 2 on one message and reports whether it was acked.
func (w *workshop) arrive(t *testing.T, queue domain.Queue, msg *message.Message) bool {
	t.Helper()
	return w.settle(t, listening(w.listener()), queue, msg)
}

// stray is a job that came past the API, of no run.
func (w *workshop) stray() *message.Message {
	msg := message.NewMessage(uuid.NewString(), []byte(`{}`))
	msg.Metadata.Set(ports.MetaSubject, w.steps.course.ID.String())
	return msg
}

// counted is what the counters show that are not zero.
func (w *workshop) counted() map[app.DefenceCount]int64 {
	counted := w.stats.Snapshot()
	for count, n := range counted {
		if n == 0 {
			delete(counted, count)
		}
	}
	return counted
}

func TestStrayForAPendingCourseIsGivenItsCommandByLayer2(t *testing.T) {
	t.Parallel()
	for queue, state := range map[domain.Queue]domain.State{
		domain.QueueDocumentProcessing:  domain.StateStage2Init,
		domain.QueueSummarization:       domain.StateStage3Init,
		domain.QueueStructureAnalysis:   domain.StateStage4Init,
		domain.QueueStructureGeneration: domain.StateStage5Init,
	} {
		w := newWorkshop()
		events, stop := w.deps.Signals.Events.Watch(w.steps.course.ID)
		msg := w.stray()
		require.True(t, w.arrive(t, queue, msg))
		require.Len(t, w.commands.given, 1)
		given := w.commands.given[0]
		require.NotEmpty(t, given.Fingerprint)
		given.Fingerprint = ""
		require.Equal(t, domain.InitializeFSMCommand{
			CourseID: w.steps.course.ID, Caller: w.steps.course.Owner, InitiatedBy: domain.ActorQueue, State: state, Run: 3,
			Key: domain.IdempotencyKey(fmt.Sprintf("layer2:%s:%s", queue, msg.UUID)),
		}, given)
		require.Equal(t, map[app.DefenceCount]int64{{Layer: app.Layer2, Queue: queue, Outcome: app.DefenceInitialized}: 1}, w.counted())
		<-events // watchers are woken
		stop()
	}
}

func TestLayer2LeavesAloneWhatIsNotPendingOrNotOfThisRun(t *testing.T) {
	t.Parallel()
	for _, state := range domain.States()[1:] {
		w := newWorkshop()
		w.steps.course.State = state
		require.True(t, w.arrive(t, domain.QueueStructureAnalysis, w.stray()))
		require.Empty(t, w.commands.given, state)
		require.Empty(t, w.counted())
	}
	for run, commands := range map[string]int{"2": 0, "3": 1, "4": 0} {
		w := newWorkshop()
		msg := w.stray()
		msg.Metadata.Set(ports.MetaRun, run)
		require.True(t, w.arrive(t, domain.QueueStructureAnalysis, msg))
		require.Len(t, w.commands.given, commands, "run %s", run)
	}
}

func TestLayer3GivesTheCommandWhereTheTableSaysSo(t *testing.T) {
	t.Parallel()
	stageOf := map[domain.Queue][]domain.State{
		domain.QueueSummarization:       {domain.StateStage3Init, domain.StateStage3Summarizing, domain.StateStage3Complete},
		domain.QueueStructureAnalysis:   {domain.StateStage4Init, domain.StateStage4Analyzing, domain.StateStage4Complete},
		domain.QueueStructureGeneration: {domain.StateStage5Init, domain.StateStage5Generating, domain.StateStage5Complete},
	}
	for _, queue := range domain.Queues() {
		for _, state := range domain.States() {
			t.Run(string(queue)+" on "+string(state), func(t *testing.T) {
				t.Parallel()
				w := newWorkshop()
				w.steps.verdict, w.steps.settled, w.steps.course.State = domain.VerdictUnfit, domain.VerdictSkipped, state
				msg := w.stray()
				require.True(t, w.deliverMessage(t, queue, msg))
				require.Empty(t, w.steps.advanced)

				inStage := false
				for _, s := range stageOf[queue] {
					inStage = inStage || s == state
				}
				if inStage || queue == domain.QueueDocumentProcessing && state != domain.StatePending {
					require.Empty(t, w.commands.given)
					return
				}
				require.Len(t, w.commands.given, 1)
				given := w.commands.given[0]
				require.Equal(t, domain.ActorWorker, given.InitiatedBy)
				require.Equal(t, queue.InitialState(), given.State)
				require.Equal(t, 3, given.Run)
				require.Empty(t, given.Jobs)
				require.Equal(t, domain.IdempotencyKey(fmt.Sprintf("layer3:%s:%s", queue, msg.UUID)), given.Key)
			})
		}
	}
}

func TestJobThatItsCourseTakesNeverReachesLayer3(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
	require.Empty(t, w.commands.given)
	require.Empty(t, w.counted())
}

func TestWorkIsDoneAfterLayer3WhateverCameOfIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		result domain.InitializeFSMResult
		err    error
		want   app.DefenceOutcome
	}{
		"initialized":                {want: app.DefenceInitialized},
		"replayed":                   {result: domain.InitializeFSMResult{FromCache: true}, want: app.DefenceSkipped},
		"layer 2 was first":          {err: domain.Errorf(domain.ReasonIllegalTransition, "it is stage_4_init"), want: app.DefenceSkipped},
		"the course is gone":         {err: domain.Errorf(domain.ReasonCourseNotFound, "gone"), want: app.DefenceSkipped},
		"the id is another course's": {err: domain.Errorf(domain.ReasonIdempotencyReuse, "reused"), want: app.DefenceSkipped},
		"the database is down":       {err: domain.Errorf(domain.ReasonUnavailable, "down"), want: app.DefenceFailed},
		"something unforeseen":       {err: errors.New("permission denied"), want: app.DefenceFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop()
			w.steps.verdict, w.steps.settled = domain.VerdictUnfit, domain.VerdictWork
			w.commands.result, w.commands.err = tc.result, tc.err
			require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
			require.NotNil(t, w.only(t).Analysis)
			require.Equal(t, map[app.DefenceCount]int64{
				{Layer: app.Layer3, Queue: domain.QueueStructureAnalysis, Outcome: tc.want}: 1,
			}, w.counted())

			w = newWorkshop()
			w.commands.result, w.commands.err = tc.result, tc.err
			require.True(t, w.arrive(t, domain.QueueStructureAnalysis, w.stray()))
			require.Equal(t, map[app.DefenceCount]int64{
				{Layer: app.Layer2, Queue: domain.QueueStructureAnalysis, Outcome: tc.want}: 1,
			}, w.counted())
		})
	}
}

func TestJobOfADeletedCourseIsSkippedByBothLayers(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.steps.courseErr = domain.Errorf(domain.ReasonCourseNotFound, "gone")
	w.steps.verdict = domain.VerdictSkipped
	require.True(t, w.arrive(t, domain.QueueSummarization, w.stray()))
	require.True(t, w.deliverMessage(t, domain.QueueSummarization, w.stray()))
	require.Empty(t, w.commands.given)
	require.Equal(t, map[app.DefenceCount]int64{
		{Layer: app.Layer2, Queue: domain.QueueSummarization, Outcome: app.DefenceSkipped}: 1,
		{Layer: app.Layer3, Queue: domain.QueueSummarization, Outcome: app.DefenceSkipped}: 1,
	}, w.counted())
}

func TestLayer2AcknowledgesAJobWhoseCourseItCouldNotRead(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.steps.courseErr = domain.Errorf(domain.ReasonUnavailable, "down")
	require.True(t, w.arrive(t, domain.QueueSummarization, w.stray()))
	require.Equal(t, map[app.DefenceCount]int64{
		{Layer: app.Layer2, Queue: domain.QueueSummarization, Outcome: app.DefenceFailed}: 1,
	}, w.counted())
}

func TestLayer2DropsAMessageThatItCannotRead(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	require.True(t, w.arrive(t, domain.QueueSummarization, message.NewMessage("not a uuid", []byte(`{}`))))
	require.Empty(t, w.commands.given)
	require.Empty(t, w.counted())
}

// stopping is a command handler in the midst of which the service stops.
type stopping struct {
	ports.Commands
	stop func()
}

func (s stopping) InitializeFSM(ctx context.Context, _ domain.InitializeFSMCommand) (domain.InitializeFSMResult, error) {
	s.stop()
	<-ctx.Done()
	return domain.InitializeFSMResult{}, ctx.Err()
}

func TestCheckCutOffByTheStopIsGivenBackAndNotCounted(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.deps.Defence = app.NewDefence(stopping{stop: func() { w.giveUp() }}, w.deps.Signals, w.stats, quiet())
	require.False(t, w.arrive(t, domain.QueueStructureAnalysis, w.stray()))
	require.Empty(t, w.counted())
}

// breaking ends its first subscriptions at once.
type breaking struct {
	*queueBroker
	mu       sync.Mutex
	breaks   int
	attempts []time.Time
}

func (b *breaking) Subscriber(group string) (message.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.attempts) < b.breaks {
		b.attempts = append(b.attempts, time.Now())
		return nil, errNoSubscriber
	}
	return b.queueBroker.Subscriber(group)
}

func TestLayer2TakesABrokenSubscriptionUpAgain(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	b := &breaking{queueBroker: w.broker, breaks: 3}
	w.deps.Broker = b
	w.deps.Backoff = app.Backoff{Base: 20 * time.Millisecond, Max: time.Minute, Random: func() float64 { return 0 }}
	require.True(t, w.arrive(t, domain.QueueStructureAnalysis, w.stray()))
	require.Len(t, w.commands.given, 1)
	require.GreaterOrEqual(t, b.attempts[1].Sub(b.attempts[0]), 10*time.Millisecond)
	require.GreaterOrEqual(t, b.attempts[2].Sub(b.attempts[1]), 20*time.Millisecond, "the delay grows")
}

func TestFailuresFromBeforeALongServiceDontLengthenTheDelay(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	var clock atomic.Int64
	deps := w.listener().BackupDeps
	deps.Now = func() time.Time { return time.Unix(clock.Add(7200), 0) } // each subscription lasts two hours
	deps.Backoff = app.Backoff{Base: time.Millisecond, Max: time.Hour, Random: func() float64 { return 0 }}
	deps.Broker = &breaking{queueBroker: w.broker, breaks: 20} // the 20th in a row would wait for minutes
	require.True(t, w.settle(t, listening(app.NewBackupListener(deps)), domain.QueueStructureAnalysis, w.stray()))
}

func TestSnapshotHasEveryCounterFromTheStart(t *testing.T) {
	t.Parallel()
	snapshot := app.NewDefenceStats().Snapshot()
	require.Len(t, snapshot, 2*4*3)
	for count, n := range snapshot {
		require.Zero(t, n, count)
	}
}
