package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"lectern/domain"
	"lectern/ports"
)

// BackupDeps are what the backup listener needs.
type BackupDeps struct {
	Steps       ports.Steps
	Defence     *Defence
	Broker      ports.Broker
	Backoff     Backoff
	Now         func() time.Time
	Log         *slog.Logger
	Concurrency int // jobs of one queue in hand at once
}

// BackupListener is layer 2: it sees every job that arrives on the broker, and
// when the job's course is still pending, gives the command that the API was
// not asked for. It does no work and keeps no job from the workers, who are a
// group of their own.
type BackupListener struct{ BackupDeps }

// NewBackupListener makes the listener; Run starts it.
func NewBackupListener(deps BackupDeps) *BackupListener { return &BackupListener{deps} }

// Run listens to every queue until ctx ends. A subscription that breaks off is
// logged, and taken up again after a delay: the service goes on without layer
// 2 meanwhile. The error is one of stopping.
func (l *BackupListener) Run(ctx context.Context) error {
	failures := 0
	for {
		began := l.Now()
		err := consume(ctx, l.Broker, ports.GroupBackup, l.Concurrency, l.handle)
		if ctx.Err() != nil {
			return err
		}
		failures++
		if l.Now().Sub(began) > l.Backoff.Max {
			failures = 1 // it had recovered from those before
		}
		delay := l.Backoff.Delay(failures)
		l.Log.WarnContext(ctx, "backup listener broke off", "error", err, "failures", failures, "retry_in", delay)
		wait(ctx, delay, nil)
	}
}

// handle settles one message. It is acknowledged whatever came of the check,
// unless that was cut off by the listener's stop.
func (l *BackupListener) handle(ctx context.Context, queue domain.Queue, msg *message.Message) {
	d, err := readMessage(queue, msg)
	if err == nil { // what can't be read, the workers make a dead letter of
		l.check(ctx, d)
	}
	if ctx.Err() != nil {
		msg.Nack()
		return
	}
	msg.Ack()
}

func (l *BackupListener) check(ctx context.Context, d domain.Delivery) {
	reading, cancel := context.WithTimeout(ctx, defenceTimeout)
	defer cancel()
	course, err := l.Steps.Course(reading, d.CourseID)
	switch {
	case domain.ReasonOf(err) == domain.ReasonCourseNotFound:
		l.Defence.record(ctx, Layer2, d, DefenceSkipped, errCourseGone)
	case err != nil:
		l.Defence.record(ctx, Layer2, d, DefenceFailed, err)
	default:
		l.Defence.onArrival(ctx, d, course)
	}
}
