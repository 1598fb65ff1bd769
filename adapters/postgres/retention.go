package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/ports"
)

var _ ports.Retention = (*Retention)(nil)

// Retention implements ports.Retention as the role lectern_relay.
type Retention struct{ pool *pgxpool.Pool }

// NewRetention makes the clean-up's store on a pool of lectern_relay.
func NewRetention(pool *pgxpool.Pool) *Retention { return &Retention{pool} }

// DeleteBatch implements ports.Retention.
func (r *Retention) DeleteBatch(ctx context.Context, rule ports.RetentionRule) (int64, bool, error) {
	var deleted *int64 // null when there is nothing to do here
	err := r.pool.QueryRow(ctx, `select lectern.run_retention($1, $2, $3, $4)`, string(rule.Task), rule.Every, rule.After, rule.Batch).
		Scan(&deleted)
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("delete batch of %s: %w", rule.Task, asDomain(err))
	case deleted == nil:
		return 0, false, nil
	}
	return *deleted, *deleted >= int64(rule.Batch), nil
}
