package ports

import (
	"context"
	"time"
)

// RetentionTask names what is cleaned up.
type RetentionTask string

// The tasks.
const (
	RetentionKeys    RetentionTask = "keys"    // idempotency keys that have expired
	RetentionEntries RetentionTask = "entries" // outbox entries, once processed and counted by nobody
	RetentionInbox   RetentionTask = "inbox"   // inbox rows whose entry is gone
)

// RetentionRule says how often a task runs, and on what.
type RetentionRule struct {
	Task  RetentionTask
	Every time.Duration // from the start of a run to the next
	After time.Duration // how old a row must be; of no meaning for keys, which carry their end
	Batch int           // rows deleted in one transaction; 1 or more
}

// Retention deletes what is kept no longer. The schedule is the store's, so
// that it outlives a process and is shared by all of them.
type Retention interface {
	// DeleteBatch deletes up to rule.Batch rows in one transaction, when the
	// task is due or a run of it is unfinished, and records them. more tells
	// that the run goes on: call again. It deletes nothing, without an error,
	// when the task is not due or another process is at it.
	DeleteBatch(ctx context.Context, rule RetentionRule) (deleted int64, more bool, err error)
}
