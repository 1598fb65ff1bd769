package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Outbox = (*Outbox)(nil)

// Outbox implements ports.Outbox as the role lectern_relay. It claims and settles
// on a connection of its own, which its cursor is true of.
type Outbox struct {
	pool    *pgxpool.Pool
	conn    *pgx.Conn // nil until the first claim, and when it broke
	cursor  cursor
	alone   bool // what was claimed last was claimed alone
	claimed bool // anything ever was asked for
}

// NewOutbox makes a relay's store on a pool of lectern_relay. The clock is for
// time that passes, so it should be monotonic.
func NewOutbox(pool *pgxpool.Pool, now func() time.Time) *Outbox {
	return &Outbox{pool: pool, cursor: cursor{now: now}}
}

const entryColumns = `outbox_id, seq, entity_id, run, queue_name, job_data, job_options, created_at, processed_at,
	attempts, coalesce(last_error, ''), next_attempt_at, dead_at`

// scanEntry checks no rule: for the relay, one bad entry must not hold up the
// others, and the table's constraints refuse it anyway.
func scanEntry(row pgx.CollectableRow) (domain.OutboxEntry, error) {
	return scanEntryAnd(row)
}

// scanEntryAnd scans an entry's columns, and those that follow. Ids and JSON
// are taken as bytes: pgx would read ids by way of their text, and parse JSON,
// which was more than half of what a relay's process does.
func scanEntryAnd(row pgx.CollectableRow, more ...any) (domain.OutboxEntry, error) {
	var e domain.OutboxEntry
	var options []byte
	err := row.Scan(append([]any{
		(*[16]byte)(&e.ID), &e.Seq, (*[16]byte)(&e.CourseID), &e.Run, (*string)(&e.Queue), (*[]byte)(&e.Data), &options, &e.CreatedAt, &e.ProcessedAt,
		&e.Attempts, &e.LastError, &e.NextAttemptAt, &e.DeadAt,
	}, more...)...)
	if err == nil && string(options) != "{}" {
		err = json.Unmarshal(options, &e.Options)
	}
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

// waits is the same of the index job_outbox_parked.
const waits = `processed_at is null and dead_at is null and parked is not null`

// stillHeld are the partitions that a lease's tokens, $1 and $2, still hold.
const stillHeld = `array(select l.partition::integer from lectern.leases l
	join unnest($1::smallint[], $2::bigint[]) as mine (partition, token) using (partition, token))`

// leased is true of an entry in one of those. The planner reads their set once
// for all rows, as a mask: it is tried on many rows that are others'.
const leased = `(1::bigint << lectern.partition_of(entity_id)) & (select coalesce(bit_or(1::bigint << l.partition::integer), 0) from lectern.leases l
	join unnest($1::smallint[], $2::bigint[]) as mine (partition, token) using (partition, token)) <> 0`

// among is true of an entry in the partitions $1.
const among = `lectern.partition_of(entity_id) = any ($1::smallint[])`

func fence(lease ports.Lease) (partitions []int16, tokens []int64) {
	partitions, tokens = []int16{}, []int64{}
	for _, p := range lease.Partitions {
		partitions, tokens = append(partitions, p.Partition), append(tokens, p.Token)
	}
	return partitions, tokens
}

// Settle implements ports.Outbox. It takes a transaction for each outcome: a
// course that somebody has locked holds up its failed entries, not what was
// published.
func (s *Outbox) Settle(ctx context.Context, lease ports.Lease, settled domain.Settlement) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return fmt.Errorf("settle outbox entries: %w", asDomain(err))
	}
	partitions, tokens := fence(lease)
	var errs []error
	settle := func(n int, what any, queries ...string) {
		if n == 0 {
			return
		}
		errs = append(errs, within(ctx, s.conn, func(b *pgx.Batch) {
			for _, query := range queries {
				b.Queue(query, partitions, tokens, what)
			}
		}))
	}
	if len(settled.Published) > 0 {
		errs = append(errs, within(ctx, s.conn, func(b *pgx.Batch) {
			// The next claim need not wait for the disk: should the server crash before
			// this has got there, the entries are published again.
			b.Queue(`select set_config('synchronous_commit', 'off', true)`)
			b.Queue(`update lectern.job_outbox set processed_at = now(), last_attempt_at = now()
				where seq = any ($3) and `+pending+` and `+leased, partitions, tokens, seqs(settled.Published))
		}))
	}
	// After the published: what waits behind a failed entry is parked with it.
	settle(len(settled.Retry), failures(settled.Retry), `select lectern.park_failed(`+fenced+`)`)
	bury := []string{`select lectern.bury_entries(` + fenced + `)`}
	if settled.HoldBehindDead {
		bury = append(bury, `select lectern.hold_behind_dead(`+fenced+`)`)
	}
	settle(len(settled.Dead), failures(settled.Dead), bury...)
	if s.alone && len(errs) == 0 {
		errs = append(errs, within(ctx, s.conn, func(b *pgx.Batch) { b.Queue(`select lectern.acquit_alone($1, $2)`, partitions, tokens) }))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("settle outbox entries: %w", asDomain(err))
	}
	return nil
}

// fenced are those of the failures in $3 whose entries the lease still holds.
const fenced = `(select coalesce(jsonb_agg(f.j), '[]') from jsonb_array_elements($3) as f (j)
	join lectern.job_outbox o on o.outbox_id = (f.j->>'outbox_id')::uuid where ` + leased + `)`

func seqs(entries []domain.OutboxEntry) []int64 {
	out := make([]int64, len(entries))
	for i, e := range entries {
		out[i] = e.Seq
	}
	return out
}

type failureRow struct {
	ID      uuid.UUID `json:"outbox_id"`
	Reason  string    `json:"reason"`
	DelayMS int64     `json:"delay_ms"`
}

func failures(failed []domain.FailedEntry) []failureRow {
	rows := make([]failureRow, len(failed))
	for i, f := range failed {
		rows[i] = failureRow{f.Entry.ID, domain.ErrorText(f.Reason), f.Delay.Milliseconds()}
	}
	return rows
}

// NextDue implements ports.Outbox.
func (s *Outbox) NextDue(ctx context.Context) (time.Duration, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var seconds *float64
	err := within(ctx, s.pool, func(b *pgx.Batch) {
		partitions, _ := fence(s.cursor.lease)
		b.Queue(`select extract(epoch from min(next_attempt_at) - now())::float8 from lectern.job_outbox where `+waits+` and (not $2 or `+among+`)`,
			partitions, s.claimed).
			QueryRow(func(row pgx.Row) error { return row.Scan(&seconds) })
	})
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("read next due entry: %w", asDomain(err))
	case seconds == nil:
		return 0, false, nil
	}
	const most = 24 * time.Hour // a date may be thousands of years away
	return time.Duration(min(*seconds, most.Seconds()) * float64(time.Second)), true, nil
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
