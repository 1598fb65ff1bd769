package domain

import (
	"cmp"
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
	EventJobRedriven       EventType = "JOB_REDRIVEN"
	EventJobDiscarded      EventType = "JOB_DISCARDED"
)

// EventTypes returns every type.
func EventTypes() []EventType {
	return []EventType{
		EventFSMInitialized, EventStateTransitioned, EventJobCreated, EventJobCompleted, EventJobFailed, EventErrorOccurred,
		EventJobRedriven, EventJobDiscarded,
	}
}

// ParseEventType returns the type named s, or an INVALID_FIELD error.
func ParseEventType(s string) (EventType, error) {
	if err := checkOneOf("event_type", EventType(s), EventTypes()); err != nil {
		return "", err
	}
	return EventType(s), nil
}

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

// Actors returns every actor.
func Actors() []Actor { return []Actor{ActorAPI, ActorQueue, ActorWorker, ActorAdmin, ActorTest} }

// ParseActor returns the actor named s, or an INVALID_FIELD error.
func ParseActor(s string) (Actor, error) {
	if err := checkOneOf("created_by", Actor(s), Actors()); err != nil {
		return "", err
	}
	return Actor(s), nil
}

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

// NewEvent checks an event that was stored.
func NewEvent(e Event) (Event, error) {
	if err := e.Validate(); err != nil {
		return Event{}, err
	}
	return e, nil
}

// Validate returns the INVALID_FIELD error of the first field that breaks a
// rule. The table's constraints are the same rules.
func (e Event) Validate() error {
	return cmp.Or(
		checkID("event_id", e.ID),
		checkID("entity_id", e.CourseID),
		checkLeast("event_no", e.No, 1),
		checkOneOf("event_type", e.Type, EventTypes()),
		checkStored("event_data", e.Data),
		checkCreated(e.CreatedAt),
		checkOneOf("created_by", e.CreatedBy, Actors()),
	)
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
