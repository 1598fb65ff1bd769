package domain

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// EventType says what an event of a course records.
type EventType string

// The types of events.
const (
	EventFSMInitialized    EventType = "FSM_INITIALIZED"
	EventStateTransitioned EventType = "STATE_TRANSITIONED"
	EventJobCreated        EventType = "JOB_CREATED"
	EventJobCompleted      EventType = "JOB_COMPLETED"
	EventJobFailed         EventType = "JOB_FAILED"
	EventErrorOccurred     EventType = "ERROR_OCCURRED"
)

// Actor says which part of the system caused an event or gave a command.
type Actor string

// The actors.
const (
	ActorAPI    Actor = "API"
	ActorQueue  Actor = "QUEUE"
	ActorWorker Actor = "WORKER"
	ActorAdmin  Actor = "ADMIN"
	ActorTest   Actor = "TEST"
)

// Event is one row of a course's history. Within a course, No starts at 1 and
// has no gap.
type Event struct {
	ID        uuid.UUID       `json:"event_id"`
	CourseID  uuid.UUID       `json:"entity_id"`
	No        int64           `json:"event_no"`
	Type      EventType       `json:"event_type"`
	Data      json.RawMessage `json:"event_data"`
	CreatedAt time.Time       `json:"created_at"`
	CreatedBy Actor           `json:"created_by"`
	UserID    *uuid.UUID      `json:"user_id,omitempty"` // nil when no user caused it
}

// EventData is the union of what events carry; each type fills what it needs.
type EventData struct {
	From       State      `json:"from,omitempty"`
	To         State      `json:"to,omitempty"`
	Version    int64      `json:"version,omitempty"`
	Run        int        `json:"run,omitempty"`
	OutboxID   *uuid.UUID `json:"outbox_id,omitempty"`
	Queue      Queue      `json:"queue,omitempty"`
	DocumentID *uuid.UUID `json:"document_id,omitempty"`
	Document   string     `json:"document,omitempty"` // the document's name
	Attempt    int        `json:"attempt,omitempty"`
	Reason     string     `json:"reason,omitempty"` // for a person
}
