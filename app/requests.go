package app

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
)

// CreateRequest asks for a course.
type CreateRequest struct {
	Title    string
	Language string
	Style    domain.Style
	Settings domain.Settings
	Key      string // the idempotency key; "" makes a course on each call
}

// InitializeRequest asks to move a course to a state and to queue jobs.
type InitializeRequest struct {
	CourseID uuid.UUID
	Key      string // the idempotency key, required
	State    domain.State
	Jobs     []JobRequest
	Metadata json.RawMessage // a JSON object for the event; may be nil
}

// JobRequest asks for a job; it gets its id when it is queued.
type JobRequest struct {
	Queue   domain.Queue
	Data    json.RawMessage // a JSON object
	Options domain.JobOptions
}

// OutboxHealth says how the outbox and its relay are.
type OutboxHealth struct {
	Alive         bool
	LastProcessed *time.Time // nil if no entry was ever processed
	QueueDepth    int64      // entries pending in the table
	PollInterval  time.Duration
}

// MaxDeadChoice bounds the dead entries that one request decides on.
const MaxDeadChoice = 1000

// DeadChoice names dead entries by their ids or, without those, as the newest
// MaxDeadChoice that a filter chooses, whose states don't count.
type DeadChoice struct {
	IDs    []uuid.UUID
	Filter domain.EntryFilter
	DryRun bool // say what would be done, and do nothing
}
