package domain

import (
	"cmp"
	"encoding/json"
	"math"
	"time"

	"github.com/google/uuid"
)

// OutboxEntry is one row of job_outbox: a job that must reach a broker. It is
// pending while ProcessedAt is nil, and dead once DeadAt is set.
type OutboxEntry struct {
	ID            uuid.UUID       `json:"outbox_id"`
	Seq           int64           `json:"seq"`
	CourseID      uuid.UUID       `json:"entity_id"`
	Run           int             `json:"run"`
	Queue         Queue           `json:"queue_name"`
	Data          json.RawMessage `json:"job_data"`
	Options       JobOptions      `json:"job_options"`
	CreatedAt     time.Time       `json:"created_at"`
	ProcessedAt   *time.Time      `json:"processed_at,omitempty"`
	Attempts      int             `json:"attempts"` // failed publishes so far
	LastError     string          `json:"last_error,omitempty"`
	NextAttemptAt *time.Time      `json:"next_attempt_at,omitempty"`
	DeadAt        *time.Time      `json:"dead_at,omitempty"`
	Parked        Parking         `json:"parked,omitempty"`       // why a pending entry is not ready; read for operators alone
	DiscardedAt   *time.Time      `json:"discarded_at,omitempty"` // when an operator gave a dead entry up; read for operators alone
}

// NewOutboxEntry checks an entry that was stored.
func NewOutboxEntry(e OutboxEntry) (OutboxEntry, error) {
	if err := e.Validate(); err != nil {
		return OutboxEntry{}, err
	}
	return e, nil
}

// Validate returns the INVALID_FIELD error of the first field that breaks a
// rule. The table's constraints are the same rules.
func (e OutboxEntry) Validate() error {
	if e.ProcessedAt != nil && e.DeadAt != nil {
		return Invalid("dead_at", "must be empty: the entry is processed")
	}
	return cmp.Or(
		checkID("outbox_id", e.ID),
		checkLeast("seq", e.Seq, 1),
		checkID("entity_id", e.CourseID),
		checkLeast("run", e.Run, 1),
		checkText("queue_name", string(e.Queue), 1, maxQueueRunes),
		checkStored("job_data", e.Data),
		Within("job_options", e.Options.Validate()),
		checkCreated(e.CreatedAt),
		checkYear("processed_at", e.ProcessedAt),
		checkLeast("attempts", e.Attempts, 0),
		checkText("last_error", e.LastError, 0, math.MaxInt),
		checkYear("next_attempt_at", e.NextAttemptAt),
		checkYear("dead_at", e.DeadAt),
	)
}

// Settlement says what became of a batch of claimed entries.
type Settlement struct {
	Published []OutboxEntry
	Retry     []FailedEntry // parked until their next attempt
	Dead      []FailedEntry // never tried again unless an operator redrives them
	// HoldBehindDead parks what comes after a dead entry in its course, until
	// the entry is redriven or discarded.
	HoldBehindDead bool
}

// FailedEntry is an entry that was not published, and why.
type FailedEntry struct {
	Entry  OutboxEntry
	Reason string
	Delay  time.Duration // until the next attempt; unused when dead
}

// OutboxStats describes the outbox table as a whole.
type OutboxStats struct {
	Depth         int64      // entries pending and not dead
	Dead          int64      // entries an operator must look at: dead and not discarded
	OldestPending *time.Time // created_at of the oldest pending entry; nil if none
	LastProcessed *time.Time // nil if none was ever processed
}
