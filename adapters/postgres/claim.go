package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"lectern/domain"
	"lectern/ports"
)

// Claim implements ports.Outbox.
func (s *Outbox) Claim(ctx context.Context, lease ports.Lease, limit int) (ports.Claimed, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	claimed, err := s.claim(ctx, lease, limit)
	if err != nil {
		s.disconnect(ctx) // whatever it was, the next claim begins anew
		return ports.Claimed{}, fmt.Errorf("claim outbox entries: %w", asDomain(err))
	}
	return claimed, nil
}

func (s *Outbox) claim(ctx context.Context, lease ports.Lease, limit int) (ports.Claimed, error) {
	if err := s.connect(ctx); err != nil {
		return ports.Claimed{}, err
	}
	s.alone, s.claimed = false, true
	if lease.Suspect {
		claimed, err := s.claimAlone(ctx, lease)
		if s.alone = len(claimed.Entries) > 0; s.alone || err != nil {
			return claimed, err
		}
	}
	s.cursor.cover(lease)
	if s.cursor.stuck() {
		if err := s.lookAtDrawers(ctx); err != nil {
			return ports.Claimed{}, err
		}
	}
	entries, due, err := s.claimReady(ctx, lease, limit)
	if err == nil && due {
		partitions, _ := fence(lease)
		err = within(ctx, s.conn, func(b *pgx.Batch) { b.Queue(`select lectern.unpark_due($1, $2)`, limit, partitions) })
		if err == nil {
			entries, _, err = s.claimReady(ctx, lease, limit)
		}
	}
	return ports.Claimed{Entries: entries}, err
}

// sight is what a claim sees besides entries.
type sight struct {
	xmin    int64
	backend int
	due     bool
	urgent  bool
}

// claimReady claims in one round trip, and moves the cursor. Its statements are
// one transaction that is READ COMMITTED, so that each sees what was committed
// before it began.
func (s *Outbox) claimReady(ctx context.Context, lease ports.Lease, limit int) ([]domain.OutboxEntry, bool, error) {
	var entries []domain.OutboxEntry
	var horizon struct{ upto, xid int64 }
	var seen sight
	partitions, tokens := fence(lease)
	c := &s.cursor
	opening := c.round == nil
	err := within(ctx, s.conn, func(b *pgx.Batch) {
		if opening {
			b.Queue(`select last_seq, xid from lectern.outbox_horizon()`).QueryRow(func(row pgx.Row) error {
				return row.Scan(&horizon.upto, &horizon.xid)
			})
		}
		b.Queue(`select pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_backend_pid(), exists (
			select from lectern.job_outbox where `+waits+` and next_attempt_at <= now() and `+among+`), `+anyUrgent, partitions, c.backend, c.at).
			QueryRow(func(row pgx.Row) error { return row.Scan(&seen.xmin, &seen.backend, &seen.due, &seen.urgent) })
		// Behind a pooler the server process may be another each time.
		b.Queue(`select `+entryColumns+` from lectern.job_outbox where `+pending+`
			and seq > case when pg_backend_pid() = $3 then $4::bigint else 0 end and `+leased+`
			order by seq limit $5`, partitions, tokens, c.backend, c.at, limit).
			Query(collect(&entries, scanEntry))
	})
	if err != nil {
		return nil, false, err
	}
	if seen.backend != c.backend {
		c.restart(seen.backend)
	}
	if opening {
		c.begin(horizon.upto, horizon.xid)
	}
	first := int64(0)
	if len(entries) > 0 {
		first = entries[0].Seq
	}
	c.decided(seen.xmin, first)
	if seen.urgent {
		entries, err = s.raise(ctx, lease, limit, entries)
	}
	return entries, seen.due, err
}

// lookAtDrawers decides a round by the lock that whoever draws a number keeps
// until his transaction ends: the round's last resort while an old transaction
// that has nothing to do with the outbox keeps xmin.
func (s *Outbox) lookAtDrawers(ctx context.Context) error {
	var d drawers
	err := within(ctx, s.conn, func(b *pgx.Batch) {
		b.Queue(`select coalesce(array_agg(virtualtransaction) filter (where pid is not null), '{}'),
			coalesce(array_agg(virtualtransaction) filter (where pid is null), '{}')
			from pg_locks
			where locktype = 'relation' and mode = 'RowExclusiveLock' and granted and relation = 'lectern.job_outbox_seq'::regclass
			and database = (select oid from pg_database where datname = current_database())`).
			QueryRow(func(row pgx.Row) error { return row.Scan(&d.running, &d.prepared) })
	})
	if err == nil && !s.cursor.round.left(d) {
		s.cursor.round.xid = 0 // the next claim's snapshot, later than the list, decides it
	}
	return err
}

// claimAlone claims the next suspect entry, if any.
func (s *Outbox) claimAlone(ctx context.Context, lease ports.Lease) (ports.Claimed, error) {
	var claimed ports.Claimed
	partitions, tokens := fence(lease)
	err := within(ctx, s.conn, func(b *pgx.Batch) {
		b.Queue(`select `+entryColumns+`, crashes from lectern.claim_alone($1, $2) join lectern.job_outbox using (outbox_id)`, partitions, tokens).
			Query(collect(&claimed.Entries, func(row pgx.CollectableRow) (domain.OutboxEntry, error) {
				return scanEntryAnd(row, &claimed.Crashes)
			}))
	})
	return claimed, err
}

// connect gives the claims a connection that no other query uses.
func (s *Outbox) connect(ctx context.Context) error {
	if s.conn != nil && !s.conn.IsClosed() {
		return nil
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	s.conn = conn.Hijack()
	s.cursor.restart(0)
	return nil
}

func (s *Outbox) disconnect(ctx context.Context) {
	if s.conn != nil {
		_ = s.conn.Close(context.WithoutCancel(ctx)) // nothing can be done about it
		s.conn = nil
	}
}
