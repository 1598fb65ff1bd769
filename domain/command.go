package domain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Limits of what a caller may say about a command.
const (
	MaxMetadataBytes = 256 << 10 // with its numbers written out
	MaxReasonRunes   = 1000
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
	Run         int // the run that it is meant for; 0: whichever the course is on
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
	if err := checkCaller(c.CourseID, c.Caller, c.InitiatedBy, c.Key); err != nil {
		return err
	}
	if _, err := ParseState(string(c.State)); err != nil {
		return err
	}
	if !c.State.Initial() {
		return Invalid("state", "%s is not where a stage begins; a command may ask for %v", c.State, initialStates())
	}
	if c.Metadata != nil {
		if size, err := CheckObject("metadata", c.Metadata); err != nil {
			return err
		} else if size > MaxMetadataBytes {
			return Invalid("metadata", "must have at most %d KiB", MaxMetadataBytes>>10)
		}
	}
	return checkJobs(c.Jobs)
}

// checkCaller checks what every command has.
func checkCaller(course uuid.UUID, caller Identity, by Actor, key IdempotencyKey) error {
	_, keyErr := NewIdempotencyKey(string(key))
	return cmp.Or(
		checkID("course_id", course),
		checkID("organization_id", caller.OrganizationID),
		checkOneOf("initiated_by", by, Actors()),
		keyErr,
	)
}

func checkJobs(jobs []Job) error {
	if len(jobs) > MaxJobs {
		return &Error{Reason: ReasonTooManyJobs, Field: "jobs", Message: "a command has at most 1,000 jobs"}
	}
	total, seen := 0, make(map[uuid.UUID]bool, len(jobs))
	for i, j := range jobs {
		size, err := j.check()
		if err == nil && seen[j.ID] {
			err = &Error{Reason: ReasonDuplicateEntry, Field: "outbox_id", Message: "another job of the command has this id"}
		}
		if err != nil {
			return Within(fmt.Sprintf("jobs[%d]", i), err)
		}
		seen[j.ID] = true
		if total += size; total > MaxCommandBytes {
			return &Error{Reason: ReasonJobTooLarge, Field: "jobs", Message: "a command's jobs have at most 8 MiB of data"}
		}
	}
	return nil
}

// InitializeFSMResult is the answer to the command, the same for every replay
// but for FromCache.
type InitializeFSMResult struct {
	FSMState      FSMState      `json:"fsmState"`
	OutboxEntries []QueuedEntry `json:"outboxEntries"`
	FromCache     bool          `json:"fromCache"`
	KeptFor       time.Duration `json:"-"` // how much longer the key is kept
}

// NewInitializeFSMResult checks an answer that was stored.
func NewInitializeFSMResult(r InitializeFSMResult) (InitializeFSMResult, error) {
	if err := r.Validate(); err != nil {
		return InitializeFSMResult{}, err
	}
	return r, nil
}

// Validate returns the INVALID_FIELD error of the first field that breaks a
// rule.
func (r InitializeFSMResult) Validate() error {
	if err := r.FSMState.Validate(); err != nil {
		return Within("fsmState", err)
	}
	for i, e := range r.OutboxEntries {
		if err := e.Validate(); err != nil {
			return Within(fmt.Sprintf("outboxEntries[%d]", i), err)
		}
	}
	return nil
}

// FSMState is the state that a command led to.
type FSMState struct {
	CourseID  uuid.UUID `json:"entity_id"`
	State     State     `json:"state"`
	Version   int64     `json:"version"`
	CreatedBy Actor     `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

// Validate returns the INVALID_FIELD error of the first field that breaks a
// rule.
func (s FSMState) Validate() error {
	return cmp.Or(
		checkID("entity_id", s.CourseID),
		checkOneOf("state", s.State, States()),
		checkLeast("version", s.Version, 1),
		checkOneOf("created_by", s.CreatedBy, Actors()),
		checkCreated(s.CreatedAt),
	)
}

// QueuedEntry is an outbox entry as the command's answer shows it.
type QueuedEntry struct {
	ID        uuid.UUID `json:"outbox_id"`
	Queue     Queue     `json:"queue_name"`
	CreatedAt time.Time `json:"created_at"`
}

// Validate returns the INVALID_FIELD error of the first field that breaks a
// rule.
func (e QueuedEntry) Validate() error {
	return cmp.Or(
		checkID("outbox_id", e.ID),
		checkText("queue_name", string(e.Queue), 1, maxQueueRunes),
		checkCreated(e.CreatedAt),
	)
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

// NewChangeStateCommand checks c and fills in its fingerprint over procedure,
// the name of the API's procedure that the caller called.
func NewChangeStateCommand(procedure string, c ChangeStateCommand) (ChangeStateCommand, error) {
	err := cmp.Or(
		checkCaller(c.CourseID, c.Caller, c.InitiatedBy, c.Key),
		checkOneOf("state", c.State, []State{StateCancelled, StatePending}),
		checkText("reason", c.Reason, 0, MaxReasonRunes),
	)
	if err != nil {
		return ChangeStateCommand{}, err
	}
	if c.Fingerprint, err = FingerprintOf(procedure, c.CourseID, c.State, c.Reason); err != nil {
		return ChangeStateCommand{}, err
	}
	return c, nil
}
