package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"lectern/domain"
	"lectern/ports"
)

// defenceTimeout bounds a check of layer 2 or 3, which must never hold a job up.
const defenceTimeout = 10 * time.Second

// Defence is what layers 2 and 3 share. A job that came past the API finds its
// course where no command has put it; a layer then gives the command in its own
// name, without jobs, since the job is there already and would be done twice.
// Nothing that happens here is an error of the job.
type Defence struct {
	commands ports.Commands
	signals  Signals
	stats    *DefenceStats
	log      *slog.Logger
}

// NewDefence makes the defence. commands speaks for no one tenant, and keeps no
// answers of its own.
func NewDefence(commands ports.Commands, signals Signals, stats *DefenceStats, log *slog.Logger) *Defence {
	return &Defence{commands, signals, stats, log}
}

// onArrival is layer 2: a job for a course that is still pending, on this run.
func (f *Defence) onArrival(ctx context.Context, d domain.Delivery, c domain.Course) {
	if c.State == domain.StatePending && (d.Run == 0 || d.Run == c.Run) {
		f.initialize(ctx, Layer2, domain.ActorQueue, d, c)
	}
}

// beforeWork is layer 3: a job of this run that its course's state doesn't
// take. A document's job moves a pending course alone: any other has had its
// command, and its documents' jobs with it.
func (f *Defence) beforeWork(ctx context.Context, d domain.Delivery, c domain.Course) {
	stage := strings.TrimSuffix(string(d.Queue.InitialState()), "init")
	outside := !strings.HasPrefix(string(c.State), stage)
	if d.Queue == domain.QueueDocumentProcessing {
		outside = c.State == domain.StatePending
	}
	if outside {
		f.initialize(ctx, Layer3, domain.ActorWorker, d, c)
	}
}

func (f *Defence) initialize(ctx context.Context, layer Layer, actor domain.Actor, d domain.Delivery, c domain.Course) {
	ctx, cancel := context.WithTimeout(ctx, defenceTimeout)
	defer cancel()
	outcome, err := f.command(ctx, layer, actor, d, c)
	f.record(ctx, layer, d, outcome, err)
}

// command gives the layer's command, and returns what came of it and why.
func (f *Defence) command(
	ctx context.Context, layer Layer, actor domain.Actor, d domain.Delivery, c domain.Course,
) (DefenceOutcome, error) {
	cmd, err := domain.NewInitializeFSMCommand(string(layer), domain.InitializeFSMCommand{
		CourseID: c.ID, Caller: c.Owner, InitiatedBy: actor, State: d.Queue.InitialState(), Run: c.Run,
		Key: domain.IdempotencyKey(fmt.Sprintf("%s:%s:%s", layer, d.Queue, d.OutboxID)),
	})
	if err != nil {
		return DefenceFailed, err
	}
	result, err := f.commands.InitializeFSM(ctx, cmd)
	switch {
	case slices.Contains(notInitialized(), domain.ReasonOf(err)):
		return DefenceSkipped, err
	case err != nil:
		return DefenceFailed, err
	case result.FromCache:
		return DefenceSkipped, errDoneBefore
	}
	return DefenceInitialized, nil
}

var (
	errDoneBefore = errors.New("this job has initialized its course before")
	errCourseGone = errors.New("the course was deleted")
)

// notInitialized are the command's refusals that are about the job and not
// about the check: the course is gone, it was elsewhere by then, or another
// course's job has the same id.
func notInitialized() []domain.Reason {
	return []domain.Reason{domain.ReasonCourseNotFound, domain.ReasonIllegalTransition, domain.ReasonIdempotencyReuse}
}

// record counts and logs what came of a check. One that was cut off by the
// service's stop is neither: the job will be seen again.
func (f *Defence) record(ctx context.Context, layer Layer, d domain.Delivery, outcome DefenceOutcome, reason error) {
	if errors.Is(reason, context.Canceled) {
		return
	}
	f.stats.add(layer, d.Queue, outcome)
	log := f.log.With("layer", layer, "queue", d.Queue, "course", d.CourseID, "job", d.OutboxID)
	switch outcome {
	case DefenceInitialized:
		f.signals.Happened(d.CourseID)
		log.InfoContext(ctx, "course initialized for a job that came past the API", "state", d.Queue.InitialState())
	case DefenceSkipped:
		log.DebugContext(ctx, "course not initialized for a job", "reason", reason)
	case DefenceFailed:
		log.WarnContext(ctx, "check of a job failed, the job goes on without it", "error", reason)
	}
}
