package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern/ports"
)

// Hold implements ports.Outbox.
func (s *Outbox) Hold(ctx context.Context, holder string, ttl time.Duration) (ports.Lease, error) {
	return s.hold(ctx, holder, ttl, false, 0)
}

// Balance implements ports.Outbox.
func (s *Outbox) Balance(ctx context.Context, holder string, ttl time.Duration, batch int) (ports.Lease, error) {
	return s.hold(ctx, holder, ttl, true, batch)
}

func (s *Outbox) hold(ctx context.Context, holder string, ttl time.Duration, balance bool, batch int) (ports.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var lease ports.Lease
	suspects := false
	err := within(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(`select partition, token, suspect from lectern.hold_leases($1, $2, $3, $4)`, holder, ttl, balance, batch).
			Query(collect(&lease.Partitions, func(row pgx.CollectableRow) (ports.LeasedPartition, error) {
				var p ports.LeasedPartition
				var suspect bool
				err := row.Scan(&p.Partition, &p.Token, &suspect)
				suspects = suspects || suspect
				return p, err
			}))
	})
	if err != nil {
		return ports.Lease{}, fmt.Errorf("hold leases: %w", asDomain(err))
	}
	if suspects {
		s.suspects.Store(true)
	}
	return lease, nil
}

// GiveBack implements ports.Outbox.
func (s *Outbox) GiveBack(ctx context.Context, holder string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s.disconnect(ctx)
	err := within(ctx, s.pool, func(b *pgx.Batch) { b.Queue(`select lectern.give_back_leases($1)`, holder) })
	if err != nil {
		return fmt.Errorf("give back leases: %w", asDomain(err))
	}
	return nil
}
