package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	Broker    ports.Broker
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

// stage is the work of one queue.
type stage struct {
	working domain.State // the state of a course while its jobs are done
	run     func(ctx context.Context, d domain.Delivery, c domain.Course) (domain.Step, error)
}

// NewWorkers makes the workers; Run starts them.
func NewWorkers(deps WorkerDeps) *Workers {
	w := &Workers{WorkerDeps: deps}
	w.stages = map[domain.Queue]stage{
		domain.QueueDocumentProcessing:  {domain.StateStage2Processing, w.processDocument},
		domain.QueueSummarization:       {domain.StateStage3Summarizing, w.summarize},
		domain.QueueStructureAnalysis:   {domain.StateStage4Analyzing, w.analyze},
		domain.QueueStructureGeneration: {domain.StateStage5Generating, w.generate},
	}
	return w
}

// Run works on every queue until ctx ends. Jobs in hand then are given back to
// the broker, unless they are about to commit. It returns early only when a
// queue can't be subscribed to, or its subscription breaks off.
func (w *Workers) Run(ctx context.Context) error {
	sub, err := w.Broker.Subscriber(ports.GroupWorkers)
	if err != nil {
		return fmt.Errorf("make subscriber: %w", err)
	}
	queues, ctx := errgroup.WithContext(ctx)
	for queue := range w.stages {
		// When one fails, the group's context ends the others.
		queues.Go(func() error {
			msgs, err := sub.Subscribe(ctx, string(queue))
			if err != nil {
				return fmt.Errorf("subscribe to %s: %w", queue, err)
			}
			return w.consume(ctx, queue, msgs)
		})
	}
	return errors.Join(queues.Wait(), sub.Close())
}

// consume handles a queue's messages, Concurrency at a time.
func (w *Workers) consume(ctx context.Context, queue domain.Queue, msgs <-chan *message.Message) error {
	var jobs errgroup.Group
	jobs.SetLimit(w.Config.Concurrency)
	for msg := range msgs {
		jobs.Go(func() error {
			w.handle(ctx, queue, msg)
			return nil
		})
	}
	if err := jobs.Wait(); err != nil {
		return err
	}
	if ctx.Err() == nil {
		return fmt.Errorf("consume %s: the broker ended the subscription", queue)
	}
	return nil
}

// handle settles one message: acknowledged when there is nothing more to do,
// given back when the database could not be asked or told.
func (w *Workers) handle(ctx context.Context, queue domain.Queue, msg *message.Message) {
	d, err := readMessage(queue, msg)
	if err != nil {
		// Waiting would not make it readable.
		w.Log.ErrorContext(ctx, "drop unreadable message", "queue", queue, "message", msg.UUID, "error", err)
		msg.Ack()
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

// do begins a job, works, and commits what came of it.
func (w *Workers) do(ctx context.Context, d domain.Delivery) (domain.Verdict, error) {
	stage := w.stages[d.Queue]
	verdict, course, err := w.Steps.Begin(ctx, d, stage.working)
	if err != nil || verdict != domain.VerdictWork {
		return verdict, err
	}
	w.Signals.Events.Notify()

	step, err := w.attempt(ctx, stage, d, course)
	if err != nil {
		if ctx.Err() != nil {
			return "", err // stopped in mid-work, not failed
		}
		if step, err = w.failure(d, err); err != nil {
			return "", err
		}
	}
	step.Job = d
	return w.commit(ctx, step)
}

// commit stores a step. A result that the database won't take, however often
// it is asked, fails the course instead of coming back for ever.
func (w *Workers) commit(ctx context.Context, step domain.Step) (domain.Verdict, error) {
	verdict, err := w.Steps.Advance(ctx, step)
	if err != nil && ctx.Err() == nil && domain.ReasonOf(err) != domain.ReasonUnavailable && step.Fail == "" {
		w.Log.ErrorContext(ctx, "result refused", "course", step.Job.CourseID, "job", step.Job.OutboxID, "error", err)
		verdict, err = w.Steps.Advance(ctx, domain.Step{Job: step.Job, Fail: "the result could not be stored; restart the course"})
	}
	if err == nil {
		w.Signals.committed()
	}
	return verdict, err
}

// attempt runs a stage's work within its time. A panic in it is an error of
// this job, not the end of the process.
func (w *Workers) attempt(ctx context.Context, s stage, d domain.Delivery, c domain.Course) (step domain.Step, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.Config.JobTimeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			w.Log.ErrorContext(ctx, "job panicked", "course", d.CourseID, "job", d.OutboxID, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("do job: panic: %v", r)
		}
	}()
	return s.run(ctx, d, c)
}

// failure makes the step of a failed attempt: another attempt later, or, when
// none is left or none would help, the end of the run.
func (w *Workers) failure(d domain.Delivery, cause error) (domain.Step, error) {
	var permanent *permanentError
	if errors.As(cause, &permanent) || d.Attempt+1 >= min(cmp.Or(d.MaxAttempts, w.Config.MaxAttempts), domain.MaxAttempts) {
		return domain.Step{Fail: fmt.Sprintf("%s: %v", d.Queue, cause)}, nil
	}
	jobs, err := pipelineJobs(w.NewID, d.Queue, d.Data)
	if err != nil {
		return domain.Step{}, err
	}
	job := jobs[0]
	job.Options = domain.JobOptions{Attempt: d.Attempt + 1, MaxAttempts: d.MaxAttempts}
	return domain.Step{Retry: &domain.Retry{
		Job: job, NotBefore: w.Now().Add(w.Backoff.Delay(d.Attempt + 1)), Reason: cause.Error(),
	}}, nil
}

// permanentError is a failure that another attempt would not mend.
type permanentError struct{ error }

// Unwrap returns the cause.
func (e *permanentError) Unwrap() error { return e.error }

func permanentf(format string, args ...any) error {
	return &permanentError{fmt.Errorf(format, args...)}
}
