package domain

import (
	"time"

	"github.com/google/uuid"
)

// Delivery is a job as a worker receives it from the broker.
type Delivery struct {
	OutboxID uuid.UUID
	CourseID uuid.UUID
	Run      int // 0 for a job published by hand: it counts as the current run
	Queue    Queue
	Attempt  int // attempts before this one
	// MaxAttempts bounds the attempts at this job; 0 means the config's.
	MaxAttempts int
	Priority    int // that the job had in the outbox
	Data        JobData
}

// Verdict says what a worker is to do with a delivery.
type Verdict string

// The verdicts. All but VerdictWork and VerdictUnfit mean: acknowledge it,
// there is nothing to do.
const (
	VerdictWork      Verdict = "work"
	VerdictDuplicate Verdict = "duplicate" // the inbox has it: its effect is committed already
	VerdictStale     Verdict = "stale"     // it belongs to an older run of the course
	VerdictUnfit     Verdict = "unfit"     // the course's state doesn't take this job: layer 3 may mend that
	VerdictSkipped   Verdict = "skipped"   // the course is gone, or its state doesn't take this job for good
)

// Step is all that one finished job changes; it commits whole or not at all.
type Step struct {
	Job       Delivery
	Documents []DocumentResult
	Analysis  *Analysis
	Structure *Structure
	Metadata  map[string]any // merged into generation_metadata
	// OnLast happens when no other job of this queue and run is left.
	OnLast Onward
	// Retry queues the job again; the step then records a JOB_FAILED.
	Retry *Retry
	// Fail ends the run: the course becomes failed, for this reason.
	Fail string
}

// DocumentResult is what a stage learned about a document.
type DocumentResult struct {
	ID      uuid.UUID      `json:"document_id"`
	Status  DocumentStatus `json:"status"`
	Error   string         `json:"error,omitempty"`
	Text    *Text          `json:"content,omitempty"`
	Chunks  []Chunk        `json:"chunks,omitempty"`
	Summary *Summary       `json:"summary,omitempty"`
}

// Onward is how the course goes on: the states it passes through, in order,
// and the jobs of the last of them.
type Onward struct {
	States []State
	Jobs   []Job
}

// Retry is the next attempt at a failed job.
type Retry struct {
	Job       Job
	NotBefore time.Time
	Reason    string
}
