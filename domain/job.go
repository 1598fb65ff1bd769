package domain

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Queue names a topic of the broker and so the kind of work a job asks for.
type Queue string

// The queues of the pipeline.
const (
	QueueDocumentProcessing  Queue = "document-processing"
	QueueSummarization       Queue = "summarization"
	QueueStructureAnalysis   Queue = "structure-analysis"
	QueueStructureGeneration Queue = "structure-generation"
)

// maxQueueRunes bounds the name of a queue, whatever queues there will be.
const maxQueueRunes = 100

// Queues returns every queue in the order of the pipeline.
func Queues() []Queue {
	return []Queue{QueueDocumentProcessing, QueueSummarization, QueueStructureAnalysis, QueueStructureGeneration}
}

// ParseQueue returns the queue named s, or an INVALID_FIELD error.
func ParseQueue(s string) (Queue, error) {
	if slices.Contains(Queues(), Queue(s)) {
		return Queue(s), nil
	}
	return "", Invalid("queue", "%q is not a queue; the queues are %v", s, Queues())
}

// InitialState returns the state of a course that is about to do q's jobs.
func (q Queue) InitialState() State {
	switch q {
	case QueueDocumentProcessing:
		return StateStage2Init
	case QueueSummarization:
		return StateStage3Init
	case QueueStructureAnalysis:
		return StateStage4Init
	case QueueStructureGeneration:
		return StateStage5Init
	}
	return ""
}

// WorkingState returns the state of a course while q's jobs are done.
func (q Queue) WorkingState() State {
	switch q {
	case QueueDocumentProcessing:
		return StateStage2Processing
	case QueueSummarization:
		return StateStage3Summarizing
	case QueueStructureAnalysis:
		return StateStage4Analyzing
	case QueueStructureGeneration:
		return StateStage5Generating
	}
	return ""
}

// Limits of a command's jobs; the defaults, which the config may lower.
const (
	MaxJobBytes     = 256 << 10 // bytes of one job's data
	MaxJobs         = 1000      // jobs of one command
	MaxCommandBytes = 8 << 20   // bytes of all its jobs' data together
)

// MaxAttempts bounds the attempts that a job or the config may ask for.
const MaxAttempts = 100

// MaxPriority is the priority of the most urgent jobs.
const MaxPriority = 9

// JobOptions say how a job is delivered. The zero value is the default.
type JobOptions struct {
	// NotBefore keeps the job parked in the outbox until then; in the years
	// 1970 to 9999.
	NotBefore *time.Time `json:"not_before,omitempty"`
	// MaxAttempts bounds the worker's attempts; 0 means the config's.
	MaxAttempts int `json:"max_attempts,omitempty"`
	// Priority lets the job leave the outbox before others, together with what
	// comes before it in its course: 0, the default, to MaxPriority, the most
	// urgent. It never changes the order within a course.
	Priority int `json:"priority,omitempty"`
	// Attempt counts the worker's attempts so far: 0 for the first.
	Attempt int `json:"attempt,omitempty"`
}

// Validate returns the INVALID_FIELD error of the first field that breaks a
// rule.
func (o JobOptions) Validate() error {
	return cmp.Or(
		checkYear("not_before", o.NotBefore),
		checkBetween("max_attempts", o.MaxAttempts, 0, MaxAttempts),
		checkBetween("priority", o.Priority, 0, MaxPriority),
		checkBetween("attempt", o.Attempt, 0, MaxAttempts),
	)
}

// Job is work for a queue. Its ID becomes the outbox entry's and the message's.
type Job struct {
	ID      uuid.UUID
	Queue   Queue
	Data    json.RawMessage // a JSON object
	Options JobOptions
}

// NewJob checks and makes a job. id is a UUIDv7; data must be a JSON object of
// at most MaxJobBytes with its numbers written out. The fields of its errors
// are outbox_id, queue, data and those of options.
func NewJob(id uuid.UUID, queue Queue, data json.RawMessage, opts JobOptions) (Job, error) {
	if opts.NotBefore != nil {
		utc := opts.NotBefore.UTC()
		opts.NotBefore = &utc
	}
	j := Job{ID: id, Queue: queue, Data: data, Options: opts}
	if _, err := j.check(); err != nil {
		return Job{}, err
	}
	return j, nil
}

// check returns the size of the job's data.
func (j Job) check() (int, error) {
	if err := checkID("outbox_id", j.ID); err != nil {
		return 0, err
	}
	if _, err := ParseQueue(string(j.Queue)); err != nil {
		return 0, err
	}
	tooLarge := &Error{
		Reason: ReasonJobTooLarge, Field: "data",
		Message: "a job's data is at most 256 KiB: put large content into a document and its id into the job",
	}
	if len(j.Data) > MaxJobBytes {
		return 0, tooLarge
	}
	size, err := CheckObject("data", j.Data)
	if err != nil {
		return 0, err
	}
	if size > MaxJobBytes {
		return 0, tooLarge
	}
	// A worker would have to drop what it can't read.
	if err := json.Unmarshal(j.Data, &JobData{}); err != nil {
		return 0, Invalid("data", "course_id and document_id, where it has them, must be UUIDs")
	}
	return size, Within("options", j.Options.Validate())
}

// JobData is the payload of the pipeline's own jobs. DocumentID is set for
// document-processing alone.
type JobData struct {
	CourseID   uuid.UUID  `json:"course_id"`
	DocumentID *uuid.UUID `json:"document_id,omitempty"`
}
