package ports

import (
	"context"
	"time"

	"lectern/domain"
)

// Outbox is the relay's view of job_outbox.
type Outbox interface {
	// Claim returns up to limit ready entries in commit order. It first makes
	// ready what is due again. It does not mark what it returns: one relay
	// runs at a time.
	Claim(ctx context.Context, limit int) ([]domain.OutboxEntry, error)

	// Settle records what became of claimed entries, in one transaction. An
	// entry settled already stays as it is. A dead entry fails its course,
	// when the course is still on the entry's run.
	Settle(ctx context.Context, s domain.Settlement) error

	// NextDue returns when the next parked entry is due; zero if none is.
	NextDue(ctx context.Context) (time.Time, error)

	// Stats counts the table, not a batch.
	Stats(ctx context.Context) (domain.OutboxStats, error)
}
