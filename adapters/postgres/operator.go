package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Operator = (*Operator)(nil)

// Operator implements ports.Operator as the role lectern_app.
type Operator struct{ pool *pgxpool.Pool }

// NewOperator makes the operator's store on a pool of lectern_app.
func NewOperator(pool *pgxpool.Pool) *Operator { return &Operator{pool} }

// shownColumns are those of an entry that an operator looks at, but its data,
// which may be large.
const shownColumns = `outbox_id, seq, entity_id, run, queue_name, job_options, created_at, processed_at, attempts,
	coalesce(last_error, ''), next_attempt_at, dead_at, coalesce(parked, ''), discarded_at`

func shown(e *domain.OutboxEntry) []any {
	return []any{
		&e.ID, &e.Seq, &e.CourseID, &e.Run, &e.Queue, &e.Options, &e.CreatedAt, &e.ProcessedAt, &e.Attempts,
		&e.LastError, &e.NextAttemptAt, &e.DeadAt, &e.Parked, &e.DiscardedAt,
	}
}

// List implements ports.Operator.
func (s *Operator) List(
	ctx context.Context, caller domain.Identity, f domain.EntryFilter, before uuid.UUID, limit int,
) ([]domain.OutboxEntry, error) {
	var found []domain.OutboxEntry
	scan := func(row pgx.CollectableRow) (e domain.OutboxEntry, err error) { return e, row.Scan(shown(&e)...) }
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(`select `+shownColumns+` from lectern.list_entries(nullif($1::uuid, $8), nullif($2, ''), $3, nullif($4::interval, '0'),
			nullif($5::interval, '0'), nullif($6::uuid, $8), $7)`,
			f.CourseID, string(f.Queue), texts(f.States), f.OlderThan, f.YoungerThan, before, limit, uuid.Nil).Query(collect(&found, scan))
	})
	if err != nil {
		return nil, fmt.Errorf("list outbox entries: %w", err)
	}
	return found, nil
}

// texts are what an array of texts is sent as.
func texts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// Get implements ports.Operator.
func (s *Operator) Get(ctx context.Context, caller domain.Identity, id uuid.UUID) (domain.OutboxEntry, error) {
	var found []domain.OutboxEntry
	scan := func(row pgx.CollectableRow) (e domain.OutboxEntry, err error) {
		return e, row.Scan(append(shown(&e), &e.Data)...)
	}
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(`select `+shownColumns+`, job_data from lectern.get_entry($1)`, id).Query(collect(&found, scan))
	})
	switch {
	case err != nil:
		return domain.OutboxEntry{}, fmt.Errorf("read outbox entry: %w", err)
	case len(found) == 0:
		return domain.OutboxEntry{}, domain.Errorf(domain.ReasonEntryNotFound, "there is no outbox entry %s", id)
	}
	return found[0], nil
}

// Count implements ports.Operator.
func (s *Operator) Count(ctx context.Context, caller domain.Identity) ([]domain.EntryCount, error) {
	var counts []domain.EntryCount
	scan := func(row pgx.CollectableRow) (c domain.EntryCount, err error) {
		return c, row.Scan(&c.Queue, &c.State, &c.Entries, &c.Oldest)
	}
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(`select queue_name, state, entries, oldest from lectern.count_entries()`).Query(collect(&counts, scan))
	})
	if err != nil {
		return nil, fmt.Errorf("count outbox entries: %w", err)
	}
	return counts, nil
}

const verdictColumns = `outbox_id, coalesce(entity_id, $1), coalesce(refusal, ''), coalesce(message, '')`

func scanVerdict(row pgx.CollectableRow) (v domain.EntryVerdict, err error) {
	return v, row.Scan(&v.ID, &v.CourseID, &v.Refusal, &v.Message)
}

// Redrive implements ports.Operator.
func (s *Operator) Redrive(ctx context.Context, caller domain.Identity, ids []uuid.UUID, dryRun bool) ([]domain.EntryVerdict, error) {
	var verdicts []domain.EntryVerdict
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(`select `+verdictColumns+` from lectern.redrive_entries($2, $3, $4)`, uuid.Nil, ids, caller.UserID, dryRun).
			Query(collect(&verdicts, scanVerdict))
	})
	if err != nil {
		return nil, fmt.Errorf("redrive outbox entries: %w", err)
	}
	return verdicts, nil
}

// Discard implements ports.Operator.
func (s *Operator) Discard(
	ctx context.Context, caller domain.Identity, ids []uuid.UUID, reason string, dryRun bool,
) ([]domain.EntryVerdict, error) {
	var verdicts []domain.EntryVerdict
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(`select `+verdictColumns+` from lectern.discard_entries($2, $3, $4, $5)`, uuid.Nil, ids, caller.UserID, domain.ErrorText(reason), dryRun).
			Query(collect(&verdicts, scanVerdict))
	})
	if err != nil {
		return nil, fmt.Errorf("discard outbox entries: %w", err)
	}
	return verdicts, nil
}
