package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"lectern/domain"
	"lectern/ports"
)

// WorkerConfig tunes the workers.
type WorkerConfig struct {
	Concurrency int           // jobs of one queue in hand at once
	JobTimeout  time.Duration // for one attempt at a job
	MaxAttempts int           // attempts at a job before its course fails
}

// WorkerDeps are what the workers need.
type WorkerDeps struct {
	Steps     ports.Steps
	Defence   *Defence
	Broker    ports.Broker
	Old       []OldBroker // consumed as well
	Blobs     ports.Blobs
	Extractor ports.Extractor
	Generator ports.Generator
	Signals   Signals
	Backoff   Backoff
	NewID     func() (uuid.UUID, error) // UUIDv7
	Now       func() time.Time
	Log       *slog.Logger
	Config    WorkerConfig
}

// Workers carry courses from stage to stage: they take jobs from the broker,
// do them, and commit each one's effect, events and next jobs in one
// transaction with its inbox row.
type Workers struct {
	WorkerDeps
	stages map[domain.Queue]stage
}

// stage is the work of one queue. Beside an error, a step's documents, analysis
// and metadata are what was done before it, and are kept.
type stage func(ctx context.Context, d domain.Delivery, c domain.Course) (domain.Step, error)

// NewWorkers makes the workers; Run starts them.
func NewWorkers(deps WorkerDeps) *Workers {
	w := &Workers{WorkerDeps: deps}
	w.stages = map[domain.Queue]stage{
		domain.QueueDocumentProcessing:  w.processDocument,
		domain.QueueSummarization:       w.summarize,
		domain.QueueStructureAnalysis:   w.analyze,
		domain.QueueStructureGeneration: w.generate,
	}
	return w
}

// Run works on every queue until ctx ends. Jobs in hand then are finished, or,
// after the broker's close_timeout, given back to it. It returns early only when a
// queue of the broker can't be subscribed to, or its subscription breaks off;
// an old broker's is taken up again.
func (w *Workers) Run(ctx context.Context) error {
	c := consumer{ports.GroupWorkers, w.Config.Concurrency, w.handle, w.Backoff, w.Now, w.Log}
	brokers, ctx := errgroup.WithContext(ctx)
	brokers.Go(func() error { return c.once(ctx, w.Broker) })
	for _, old := range w.Old {
		brokers.Go(func() error {
			c.persist(ctx, old, "workers of "+old.Name)
			return nil
		})
	}
	return brokers.Wait()
}

// handle settles one message: acknowledged when there is nothing more to do,
// given back when the database or the broker could not be asked or told.
func (w *Workers) handle(ctx context.Context, queue domain.Queue, msg *message.Message) {
	d, err := readMessage(queue, msg)
	if err != nil {
		w.bury(ctx, queue, msg, err)
		return
	}
	log := w.Log.With("queue", queue, "course", d.CourseID, "job", d.OutboxID, "attempt", d.Attempt)
	verdict, err := w.do(ctx, d)
	switch {
	case err != nil && ctx.Err() != nil:
		msg.Nack() // stopping: the next worker begins anew
	case err != nil:
		log.WarnContext(ctx, "give job back", "error", err)
		msg.Nack()
	default:
		log.DebugContext(ctx, "job settled", "verdict", verdict)
		msg.Ack()
	}
}

// bury makes a dead letter of a message that can't be read: waiting would not
// make it readable.
func (w *Workers) bury(ctx context.Context, queue domain.Queue, msg *message.Message, reason error) {
	log := w.Log.With("queue", queue, "message", msg.UUID, "reason", reason)
	if err := ports.PublishDead(w.Broker, string(queue), ports.GroupWorkers, msg, reason.Error(), w.Now()); err != nil {
		log.WarnContext(ctx, "give unreadable message back", "error", err)
		msg.Nack()
		return
	}
	log.ErrorContext(ctx, "unreadable message is a dead letter")
	msg.Ack()
}

// do begins a job, works, and commits what came of it.
func (w *Workers) do(ctx context.Context, d domain.Delivery) (domain.Verdict, error) {
	verdict, course, err := w.begin(ctx, d)
	if err != nil || verdict != domain.VerdictWork {
		return verdict, err
	}
	w.Signals.Happened(d.CourseID)

	step, err := w.attempt(ctx, d, course)
	if err != nil {
		if ctx.Err() != nil {
			return "", err // stopped in mid-work, not failed
		}
		if step, err = w.failure(d, step, err); err != nil {
			return "", err
		}
	}
	step.Job = d
	return w.commit(ctx, step)
}

// begin asks whether a job may be done: inbox, run, then layer 3 when the
// course's state doesn't take it. Whatever becomes of layer 3, the state that
// the course is in after it decides.
func (w *Workers) begin(ctx context.Context, d domain.Delivery) (domain.Verdict, domain.Course, error) {
	verdict, course, err := w.Steps.Begin(ctx, d)
	switch {
	case err != nil:
	case verdict == domain.VerdictSkipped:
		w.Defence.record(ctx, Layer3, d, DefenceSkipped, errCourseGone)
	case verdict == domain.VerdictUnfit:
		w.Defence.beforeWork(ctx, d, course)
		return w.Steps.BeginOrSkip(ctx, d)
	}
	return verdict, course, err
}

// commit stores a step. A result that the database won't take, however often
// it is asked, fails the course instead of coming back for ever.
func (w *Workers) commit(ctx context.Context, step domain.Step) (domain.Verdict, error) {
	verdict, err := w.Steps.Advance(ctx, step)
	hasResult := step.Fail == "" || step.Documents != nil || step.Analysis != nil || step.Metadata != nil
	if err != nil && ctx.Err() == nil && domain.ReasonOf(err) != domain.ReasonUnavailable && hasResult {
		w.Log.ErrorContext(ctx, "result refused", "course", step.Job.CourseID, "job", step.Job.OutboxID, "error", err)
		verdict, err = w.Steps.Advance(ctx, domain.Step{
			Job: step.Job, Fail: cmp.Or(step.Fail, "the result could not be stored; restart the course"),
		})
	}
	switch {
	case err != nil:
	case step.Retry != nil || len(step.OnLast.Jobs) > 0: // which this job may have been
		w.Signals.committed(step.Job.CourseID)
	default:
		w.Signals.Happened(step.Job.CourseID)
	}
	return verdict, err
}

// attempt runs a stage's work within its time. A panic in it is an error of
// this job, not the end of the process.
func (w *Workers) attempt(ctx context.Context, d domain.Delivery, c domain.Course) (step domain.Step, err error) {
	late := fmt.Errorf("it took longer than workers.job_timeout (%s)", w.Config.JobTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, w.Config.JobTimeout, late)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			w.panicked(ctx, d, r)
			err = errors.New("a fault of the program, which its log tells of")
		}
	}()
	step, err = w.stages[d.Queue](ctx, d, c)
	if err != nil && errors.Is(context.Cause(ctx), late) {
		err = late
	}
	return step, err
}

// panicked logs where a panic was. Its value is told only where it can't quote a
// document.
func (w *Workers) panicked(ctx context.Context, d domain.Delivery, value any) {
	told := fmt.Sprintf("%T", value)
	if fault, ok := value.(runtime.Error); ok {
		told = fault.Error()
	}
	w.Log.ErrorContext(ctx, "job panicked", "course", d.CourseID, "job", d.OutboxID, "panic", told, "stack", string(debug.Stack()))
}

// failure makes the step of a failed attempt, with what was done before it
// failed: another attempt later, or, when none is left or none would help, the
// end of the run.
func (w *Workers) failure(d domain.Delivery, done domain.Step, cause error) (domain.Step, error) {
	step := domain.Step{Documents: done.Documents, Analysis: done.Analysis, Metadata: done.Metadata}
	if isFinal(cause) || d.Attempt+1 >= min(cmp.Or(d.MaxAttempts, w.Config.MaxAttempts), domain.MaxAttempts) {
		step.Fail = fmt.Sprintf("%s: %v", d.Queue, cause)
		return step, nil
	}
	jobs, err := pipelineJobs(w.NewID, d.Queue, d.Data)
	if err != nil {
		return domain.Step{}, err
	}
	job := jobs[0]
	job.Options = domain.JobOptions{Attempt: d.Attempt + 1, MaxAttempts: d.MaxAttempts, Priority: d.Priority}
	delay := max(w.Backoff.Delay(d.Attempt+1), askedDelay(cause))
	step.Retry = &domain.Retry{Job: job, NotBefore: w.Now().Add(delay), Reason: cause.Error()}
	return step, nil
}

// isFinal tells a failure that another attempt would not mend.
func isFinal(cause error) bool {
	var permanent *permanentError
	var generator *ports.GeneratorError
	return errors.As(cause, &permanent) || errors.As(cause, &generator) && generator.Final()
}

// askedDelay is how long a generator asks to be left alone: an hour at the
// most, for what its endpoint says is not ours to trust.
func askedDelay(cause error) time.Duration {
	var generator *ports.GeneratorError
	if !errors.As(cause, &generator) {
		return 0
	}
	return min(generator.After, time.Hour)
}

// permanentError is a failure that another attempt would not mend.
type permanentError struct{ error }

// Unwrap returns the cause.
func (e *permanentError) Unwrap() error { return e.error }

func permanentf(format string, args ...any) error {
	return &permanentError{fmt.Errorf(format, args...)}
}
