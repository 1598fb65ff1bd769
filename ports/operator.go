package ports

import (
	"context"

	"github.com/google/uuid"

	"lectern/domain"
)

// Operator is the outbox as an operator of one organization sees it. No method
// sees or touches another organization's entries: such an entry is not there.
type Operator interface {
	// List returns up to limit entries, newest first and without their data,
	// that come after the entry before (uuid.Nil: from the newest). Ids are
	// UUIDv7, so their order is that of creation.
	List(ctx context.Context, caller domain.Identity, f domain.EntryFilter, before uuid.UUID, limit int) ([]domain.OutboxEntry, error)

	// Get returns an entry with its data, or ENTRY_NOT_FOUND.
	Get(ctx context.Context, caller domain.Identity, id uuid.UUID) (domain.OutboxEntry, error)

	// Count counts what is pending or dead; what is processed or discarded
	// counts no more.
	Count(ctx context.Context, caller domain.Identity) ([]domain.EntryCount, error)

	// Redrive makes dead entries ready, with their attempts at 0 and behind
	// what their courses have sent meanwhile. A course that failed for them
	// goes on where it failed, and so do the jobs that workers skipped
	// meanwhile. It returns a verdict for each entry; a dry run returns the
	// same, and changes nothing. An entry of an earlier run is refused, and so
	// is one whose course has ended for another reason or lacks another dead
	// entry that is not among ids.
	Redrive(ctx context.Context, caller domain.Identity, ids []uuid.UUID, dryRun bool) ([]domain.EntryVerdict, error)

	// Discard gives dead entries up for a reason, which the course's events
	// record. It returns a verdict for each, as Redrive does.
	Discard(ctx context.Context, caller domain.Identity, ids []uuid.UUID, reason string, dryRun bool) ([]domain.EntryVerdict, error)
}
