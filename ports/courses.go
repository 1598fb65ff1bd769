package ports

import (
	"context"

	"github.com/google/uuid"

	"lectern/domain"
)

// Courses stores courses and what belongs to them, on behalf of a caller. No
// method sees or touches another organization's rows: such a course is
// COURSE_NOT_FOUND.
type Courses interface {
	// Create stores a pending course. With a key, a repeated call returns the
	// first call's course, and another fingerprint is IDEMPOTENCY_KEY_REUSED.
	// Without one (""), each call makes a course.
	Create(ctx context.Context, c domain.Course, key domain.IdempotencyKey, fp domain.Fingerprint) (domain.Course, error)

	// Get returns the course, or COURSE_NOT_FOUND.
	Get(ctx context.Context, caller domain.Identity, id uuid.UUID) (domain.Course, error)

	// List returns up to limit courses, newest first, that come after the
	// course before (uuid.Nil: from the newest). Course ids are UUIDv7, so
	// their order is that of creation.
	List(ctx context.Context, caller domain.Identity, before uuid.UUID, limit int) ([]domain.Course, error)

	// Events returns up to limit events of a course with No > after, in order.
	Events(ctx context.Context, caller domain.Identity, id uuid.UUID, after int64, limit int) ([]domain.Event, error)

	// Entries returns the outbox entries of a course in commit order.
	Entries(ctx context.Context, caller domain.Identity, id uuid.UUID) ([]domain.OutboxEntry, error)

	// AddDocument stores the row of a document whose bytes are in the blob
	// store. COURSE_NOT_PENDING when the course is past `pending`: the
	// course's row is locked, so no document slips in behind a start.
	AddDocument(ctx context.Context, caller domain.Identity, d domain.Document) (domain.Document, error)

	// Documents returns a course's documents in the order of upload.
	Documents(ctx context.Context, caller domain.Identity, courseID uuid.UUID) ([]domain.Document, error)
}
