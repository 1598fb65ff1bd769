package domain

import (
	"time"

	"github.com/google/uuid"
)

// Parking says why a pending entry is not ready to be claimed.
type Parking string

// The ways to be parked.
const (
	ParkedBackoff Parking = "backoff" // a publish failed, and is tried again
	ParkedDelay   Parking = "delay"   // not due yet
	ParkedBlocked Parking = "blocked" // behind one of its course that backs off
	ParkedHeld    Parking = "held"    // behind a dead one of its course and run
)

// EntryState says where an outbox entry stands.
type EntryState string

// The states of entries: ready and the parked ones are pending.
const (
	EntryReady     EntryState = "ready"
	EntryBackoff              = EntryState(ParkedBackoff)
	EntryDelay                = EntryState(ParkedDelay)
	EntryBlocked              = EntryState(ParkedBlocked)
	EntryHeld                 = EntryState(ParkedHeld)
	EntryProcessed EntryState = "processed"
	EntryDead      EntryState = "dead"
	EntryDiscarded EntryState = "discarded" // dead, and given up by an operator
)

// EntryStates returns every state.
func EntryStates() []EntryState {
	return []EntryState{
		EntryReady, EntryBackoff, EntryDelay, EntryBlocked, EntryHeld, EntryProcessed, EntryDead, EntryDiscarded,
	}
}

// State returns where the entry stands.
func (e OutboxEntry) State() EntryState {
	switch {
	case e.ProcessedAt != nil:
		return EntryProcessed
	case e.DiscardedAt != nil:
		return EntryDiscarded
	case e.DeadAt != nil:
		return EntryDead
	case e.Parked != "":
		return EntryState(e.Parked)
	}
	return EntryReady
}

// OnDead says what becomes of the entries that come after a dead one in its
// course and run.
type OnDead string

// What may become of them.
const (
	OnDeadContinue OnDead = "continue" // they go to the broker
	OnDeadBlock    OnDead = "block"    // they are held until it is redriven or discarded
)

// EntryFilter chooses outbox entries. The zero value chooses all.
type EntryFilter struct {
	CourseID    uuid.UUID
	Queue       Queue
	States      []EntryState // any of these
	OlderThan   time.Duration
	YoungerThan time.Duration
}

// EntryVerdict says whether an operator's act was done to an entry.
type EntryVerdict struct {
	ID       uuid.UUID
	CourseID uuid.UUID // zero when there is no such entry
	Refusal  Reason    // empty when it was done
	Message  string    // for a person: why it was refused, and what to do
}

// EntryCount counts the entries of a queue that are in a state.
type EntryCount struct {
	Queue   Queue
	State   EntryState
	Entries int64
	Oldest  time.Time // when the oldest of them was created
}

// MaxDiscardReasonRunes bounds why entries are discarded.
const MaxDiscardReasonRunes = 1000
