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
	err := within(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(`select partition, token, suspect from lectern.hold_leases($1, $2, $3, $4)`, holder, ttl, balance, batch).
			Query(collect(&lease.Partitions, func(row pgx.CollectableRow) (ports.LeasedPartition, error) {
				var p ports.LeasedPartition
				var suspect bool
				err := row.Scan(&p.Partition, &p.Token, &suspect)
				lease.Suspect = lease.Suspect || suspect
				return p, err
			}))
	})
	if err != nil {
		return ports.Lease{}, fmt.Errorf("hold leases: %w", asDomain(err))
	}
	return lease, nil
}

// ExpireLeases lets the time of all relays pass, before the first call of one
// that knows that no other is alive: so it need not wait for what those had
// that were killed.
func (s *Outbox) ExpireLeases(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := within(ctx, s.pool, func(b *pgx.Batch) { b.Queue(`select lectern.expire_leases()`) })
	if err != nil {
		return fmt.Errorf("expire leases: %w", asDomain(err))
	}
	return nil
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
