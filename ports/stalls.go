package ports

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Stalls ends the runs of courses that will not go on by themselves.
type Stalls interface {
	// FailStalled makes up to limit courses failed, with the reason in words, to
	// which nothing has happened for a time by the database's clock though their
	// run has not ended, and returns them; as many as limit means that there may
	// be more. A course is left alone while an entry of it waits in the outbox,
	// while the workers still do jobs of the same queue that were sent before its
	// own, or while it is its caller who gives the next command. What is done
	// meanwhile counts, whichever commits first. While another process is at
	// it, nothing is done here.
	FailStalled(ctx context.Context, after time.Duration, limit int) ([]uuid.UUID, error)
}
