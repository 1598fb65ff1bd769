package domain

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// InitializeFSMCommand moves a course to an initial state and queues its jobs,
// atomically, once per idempotency key.
type InitializeFSMCommand struct {
	CourseID    uuid.UUID
	Caller      Identity
	Key         IdempotencyKey
	Fingerprint Fingerprint
	InitiatedBy Actor
	State       State
	Jobs        []Job
	Metadata    json.RawMessage // a JSON object for the event; may be nil
}

// NewInitializeFSMCommand checks c and fills in its fingerprint over
// procedure, the name of the API's procedure that the caller called.
func NewInitializeFSMCommand(procedure string, c InitializeFSMCommand) (InitializeFSMCommand, error) {
	if err := c.validate(); err != nil {
		return InitializeFSMCommand{}, err
	}
	fp, err := NewFingerprint(procedure, c.CourseID, c.State, c.Jobs)
	if err != nil {
		return InitializeFSMCommand{}, err
	}
	c.Fingerprint = fp
	return c, nil
}

func (c InitializeFSMCommand) validate() error {
	switch {
	case c.CourseID == uuid.Nil:
		return Invalid("course_id", "must not be empty")
	case c.Caller.OrganizationID == uuid.Nil:
		return Invalid("organization_id", "must not be empty")
	case c.Metadata != nil && !isObject(c.Metadata):
		return Invalid("metadata", "must be a JSON object")
	case len(c.Jobs) > MaxJobs:
		return &Error{Reason: ReasonTooManyJobs, Field: "jobs", Message: "a command has at most 1,000 jobs"}
	case jobBytes(c.Jobs) > MaxCommandBytes:
		return &Error{Reason: ReasonJobTooLarge, Field: "jobs", Message: "a command's jobs have at most 8 MiB of data"}
	}
	if _, err := ParseState(string(c.State)); err != nil {
		return err
	}
	if !c.State.Initial() {
		return Invalid("state", "%s is not where a stage begins; a command may ask for %v", c.State, initialStates())
	}
	_, err := NewIdempotencyKey(string(c.Key))
	return err
}

func jobBytes(jobs []Job) int {
	n := 0
	for _, j := range jobs {
		n += len(j.Data)
	}
	return n
}

// InitializeFSMResult is the answer to the command, the same for every replay
// but for FromCache.
type InitializeFSMResult struct {
	FSMState      FSMState      `json:"fsmState"`
	OutboxEntries []QueuedEntry `json:"outboxEntries"`
	FromCache     bool          `json:"fromCache"`
	KeptFor       time.Duration `json:"-"` // how much longer the key is kept
}

// FSMState is the state that a command led to.
type FSMState struct {
	CourseID  uuid.UUID `json:"entity_id"`
	State     State     `json:"state"`
	Version   int64     `json:"version"`
	CreatedBy Actor     `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

// QueuedEntry is an outbox entry as the command's answer shows it.
type QueuedEntry struct {
	ID        uuid.UUID `json:"outbox_id"`
	Queue     Queue     `json:"queue_name"`
	CreatedAt time.Time `json:"created_at"`
}

// ChangeStateCommand cancels or restarts a course, once per idempotency key.
type ChangeStateCommand struct {
	CourseID    uuid.UUID
	Caller      Identity
	Key         IdempotencyKey
	Fingerprint Fingerprint
	InitiatedBy Actor
	State       State  // StateCancelled or StatePending
	Reason      string // for the event; may be empty
}
