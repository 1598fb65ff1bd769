package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Outbox = (*Outbox)(nil)

// Outbox implements ports.Outbox as the role lectern_relay.
type Outbox struct{ pool *pgxpool.Pool }

// NewOutbox makes the relay's store on a pool of lectern_relay.
func NewOutbox(pool *pgxpool.Pool) *Outbox { return &Outbox{pool} }

const entryColumns = `outbox_id, seq, entity_id, run, queue_name, job_data, job_options, created_at, processed_at,
	attempts, coalesce(last_error, ''), next_attempt_at, dead_at`

// scanEntry checks no rule: for the relay, one bad entry must not hold up the
// others, and the table's constraints refuse it anyway.
func scanEntry(row pgx.CollectableRow) (domain.OutboxEntry, error) {
	var e domain.OutboxEntry
	err := row.Scan(&e.ID, &e.Seq, &e.CourseID, &e.Run, &e.Queue, &e.Data, &e.Options, &e.CreatedAt, &e.ProcessedAt,
		&e.Attempts, &e.LastError, &e.NextAttemptAt, &e.DeadAt)
	return e, err
}

func scanCheckedEntry(row pgx.CollectableRow) (domain.OutboxEntry, error) {
	e, err := scanEntry(row)
	if err != nil {
		return e, err
	}
	return stored(domain.NewOutboxEntry(e))
}

// pending is the predicate of the index job_outbox_ready; a query that lacks
// it reads the whole table.
const pending = `processed_at is null and dead_at is null and parked is null`

// Claim implements ports.Outbox.
func (s *Outbox) Claim(ctx context.Context, limit int) ([]domain.OutboxEntry, error) {
	var entries []domain.OutboxEntry
	b := &pgx.Batch{}
	b.Queue(`select lectern.unpark_due($1)`, limit)
	b.Queue(`select `+entryColumns+` from lectern.job_outbox where `+pending+` order by seq limit $1`, limit).
		Query(collect(&entries, scanEntry))
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("claim outbox entries: %w", asDomain(err))
	}
	return entries, nil
}

// Settle implements ports.Outbox.
func (s *Outbox) Settle(ctx context.Context, settled domain.Settlement) error {
	b := &pgx.Batch{}
	if len(settled.Published) > 0 {
		seqs := make([]int64, len(settled.Published))
		for i, e := range settled.Published {
			seqs[i] = e.Seq
		}
		b.Queue(`update lectern.job_outbox set processed_at = now(), last_attempt_at = now() where seq = any($1) and `+pending, seqs)
	}
	// After the published: what waits behind a failed entry is parked with it.
	if len(settled.Retry) > 0 {
		b.Queue(`select lectern.park_failed($1)`, failures(settled.Retry))
	}
	if len(settled.Dead) > 0 {
		b.Queue(`select lectern.bury_entries($1)`, failures(settled.Dead))
		if settled.HoldBehindDead {
			b.Queue(`select lectern.hold_behind_dead($1)`, failures(settled.Dead))
		}
	}
	if b.Len() == 0 {
		return nil
	}
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("settle outbox entries: %w", asDomain(err))
	}
	return nil
}

type failureRow struct {
	ID      uuid.UUID `json:"outbox_id"`
	Reason  string    `json:"reason"`
	DelayMS int64     `json:"delay_ms"`
}

func failures(failed []domain.FailedEntry) []failureRow {
	rows := make([]failureRow, len(failed))
	for i, f := range failed {
		rows[i] = failureRow{f.Entry.ID, plain(f.Reason), f.Delay.Milliseconds()}
	}
	return rows
}

// maxReasonRunes bounds what is kept of an error's text.
const maxReasonRunes = 2000

// plain makes an error's text one that can be stored, whatever came from a
// broker or a document: else the failure itself could not be recorded, and
// would come back for ever.
func plain(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if r := []rune(s); len(r) > maxReasonRunes {
		return string(r[:maxReasonRunes])
	}
	return s
}

// NextDue implements ports.Outbox.
func (s *Outbox) NextDue(ctx context.Context) (time.Time, error) {
	var due *time.Time
	err := s.pool.QueryRow(ctx, `select min(next_attempt_at) from lectern.job_outbox
		where processed_at is null and dead_at is null and parked is not null`).Scan(&due)
	if err != nil {
		return time.Time{}, fmt.Errorf("read next due entry: %w", asDomain(err))
	}
	if due == nil {
		return time.Time{}, nil
	}
	return *due, nil
}

// Stats implements ports.Outbox.
func (s *Outbox) Stats(ctx context.Context) (domain.OutboxStats, error) {
	var st domain.OutboxStats
	err := s.pool.QueryRow(ctx, `
		select count(*) filter (where dead_at is null), count(*) filter (where dead_at is not null and discarded_at is null),
		       min(created_at) filter (where dead_at is null),
		       (select max(processed_at) from lectern.job_outbox where processed_at is not null)
		from lectern.job_outbox where processed_at is null`).Scan(&st.Depth, &st.Dead, &st.OldestPending, &st.LastProcessed)
	if err != nil {
		return domain.OutboxStats{}, fmt.Errorf("count outbox entries: %w", asDomain(err))
	}
	return st, nil
}
