package domain

import (
	"bytes"
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

// Limits of a command's jobs; the defaults, which the config may lower.
const (
	MaxJobBytes     = 256 << 10 // bytes of one job's data
	MaxJobs         = 1000      // jobs of one command
	MaxCommandBytes = 8 << 20   // bytes of all its jobs' data together
)

// JobOptions say how a job is delivered. The zero value is the default.
type JobOptions struct {
	// NotBefore keeps the job parked in the outbox until then.
	NotBefore *time.Time `json:"not_before,omitempty"`
	// MaxAttempts bounds the worker's attempts; 0 means the config's.
	MaxAttempts int `json:"max_attempts,omitempty"`
	// Attempt counts the worker's attempts so far: 0 for the first.
	Attempt int `json:"attempt,omitempty"`
}

// Job is work for a queue. Its ID becomes the outbox entry's and the message's.
type Job struct {
	ID      uuid.UUID
	Queue   Queue
	Data    json.RawMessage // a JSON object
	Options JobOptions
}

// NewJob checks and makes a job. id is a UUIDv7; data must be a JSON object of
// at most MaxJobBytes.
func NewJob(id uuid.UUID, queue Queue, data json.RawMessage, opts JobOptions) (Job, error) {
	if id == uuid.Nil {
		return Job{}, Invalid("outbox_id", "must not be empty")
	}
	if _, err := ParseQueue(string(queue)); err != nil {
		return Job{}, err
	}
	if len(data) > MaxJobBytes {
		return Job{}, &Error{
			Reason: ReasonJobTooLarge, Field: "job_data",
			Message: "a job's data is at most 256 KiB: put large content into a document and its id into the job",
		}
	}
	if !isObject(data) {
		return Job{}, Invalid("job_data", "must be a JSON object")
	}
	if opts.MaxAttempts < 0 || opts.Attempt < 0 {
		return Job{}, Invalid("job_options", "attempts must not be negative")
	}
	return Job{ID: id, Queue: queue, Data: data, Options: opts}, nil
}

func isObject(data json.RawMessage) bool {
	return json.Valid(data) && bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
}

// JobData is the payload of the pipeline's own jobs. DocumentID is set for
// document-processing alone.
type JobData struct {
	CourseID   uuid.UUID  `json:"course_id"`
	DocumentID *uuid.UUID `json:"document_id,omitempty"`
}
