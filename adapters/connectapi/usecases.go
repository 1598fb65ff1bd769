package connectapi

import (
	"context"

	"github.com/google/uuid"

	"lectern/app"
	"lectern/domain"
)

// Courses are the use cases that CourseService offers to callers. Their errors
// are domain errors; any other is answered as internal.
type Courses interface {
	Create(ctx context.Context, caller domain.Identity, r app.CreateRequest) (domain.Course, error)

	// Get returns the course and its documents in the order of upload.
	Get(ctx context.Context, caller domain.Identity, id uuid.UUID) (domain.Course, []domain.Document, error)

	// List returns up to limit courses, newest first, from behind the course
	// before (uuid.Nil: from the newest).
	List(ctx context.Context, caller domain.Identity, before uuid.UUID, limit int) ([]domain.Course, error)

	UploadDocument(ctx context.Context, caller domain.Identity, courseID uuid.UUID, name string, content []byte) (domain.Document, error)
	InitiateGeneration(ctx context.Context, caller domain.Identity, courseID uuid.UUID, key string) (domain.InitializeFSMResult, error)
	InitializeFSM(ctx context.Context, caller domain.Identity, r app.InitializeRequest) (domain.InitializeFSMResult, error)
	Cancel(ctx context.Context, caller domain.Identity, courseID uuid.UUID, key, reason string) (domain.FSMState, error)
	Restart(ctx context.Context, caller domain.Identity, courseID uuid.UUID, key string) (domain.FSMState, error)

	// Watch sends the events with No > after in order, as they come. It returns
	// nil once the course's run has ended and all its events are sent.
	Watch(ctx context.Context, caller domain.Identity, courseID uuid.UUID, after int64, send func(domain.Event) error) error

	// Events returns up to limit events with No > after, in order.
	Events(ctx context.Context, caller domain.Identity, courseID uuid.UUID, after int64, limit int) ([]domain.Event, error)
}

// Outbox is what OutboxService offers to operators, with errors as those of
// Courses.
type Outbox interface {
	// List returns up to limit entries, newest first and without their data,
	// from behind the entry before (uuid.Nil: from the newest).
	List(ctx context.Context, caller domain.Identity, f domain.EntryFilter, before uuid.UUID, limit int) ([]domain.OutboxEntry, error)
	Get(ctx context.Context, caller domain.Identity, id uuid.UUID) (domain.OutboxEntry, error)
	Count(ctx context.Context, caller domain.Identity) ([]domain.EntryCount, error)

	// Redrive and Discard return a verdict for each entry.
	Redrive(ctx context.Context, caller domain.Identity, c app.DeadChoice) ([]domain.EntryVerdict, error)
	Discard(ctx context.Context, caller domain.Identity, c app.DeadChoice, reason string) ([]domain.EntryVerdict, error)
}

// Health tells how the service is.
type Health interface {
	Outbox(ctx context.Context) (app.OutboxHealth, error)

	// Ready returns an error, for an operator to read, while calls cannot be
	// served.
	Ready(ctx context.Context) error

	// Live returns an error when only a restart can help.
	Live(ctx context.Context) error
}
