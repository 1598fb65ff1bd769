package ports

import (
	"context"

	"github.com/google/uuid"

	"lectern/domain"
)

// Commands changes the state of courses. Every method is one transaction that
// commits state, events, entries and key together, or leaves nothing behind.
type Commands interface {
	// InitializeFSM runs the command. A repeated key with the same fingerprint
	// returns the stored first answer with FromCache set; with another one it
	// is IDEMPOTENCY_KEY_REUSED. COURSE_NOT_FOUND, ILLEGAL_TRANSITION,
	// INVALID_FIELD and DUPLICATE_OUTBOX_ID are refused with nothing changed;
	// a Run that the course is not on is an ILLEGAL_TRANSITION.
	InitializeFSM(ctx context.Context, c domain.InitializeFSMCommand) (domain.InitializeFSMResult, error)

	// ChangeState moves a course to cancelled or to pending (a restart, which
	// begins the next run), under the same rules for the key.
	ChangeState(ctx context.Context, c domain.ChangeStateCommand) (domain.FSMState, error)
}

// Steps is the worker's view of courses: it belongs to no tenant, the course's
// own row names it.
type Steps interface {
	// Course returns a course whoever owns it, or COURSE_NOT_FOUND.
	Course(ctx context.Context, id uuid.UUID) (domain.Course, error)

	// Begin checks a delivery against the inbox, the run and the course's
	// state, in that order, and moves the course to the queue's working state
	// if it is not there yet. The course is set when the verdict is VerdictWork or
	// VerdictUnfit. Unfit leaves nothing behind, stale an inbox row; skipped
	// means that the course is gone, and its inbox with it.
	Begin(ctx context.Context, job domain.Delivery) (domain.Verdict, domain.Course, error)

	// BeginOrSkip is Begin for good: a job that would be unfit is skipped, and
	// an inbox row says so.
	BeginOrSkip(ctx context.Context, job domain.Delivery) (domain.Verdict, domain.Course, error)

	// Advance commits a finished job: inbox row, effects, events, states, next
	// entries. When the inbox has the job already, the run is over, or the
	// course is gone or no longer in the queue's working state, nothing is
	// changed and the verdict says why.
	Advance(ctx context.Context, s domain.Step) (domain.Verdict, error)

	// SourceDocument returns one document of a course, or DOCUMENT_NOT_FOUND.
	SourceDocument(ctx context.Context, courseID, documentID uuid.UUID) (domain.Document, error)

	// SourceDocuments returns a course's documents with their text and
	// summary, in the order of upload.
	SourceDocuments(ctx context.Context, courseID uuid.UUID) ([]domain.Document, error)
}
