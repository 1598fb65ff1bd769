package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/ports"
)

var _ ports.Stalls = (*Stalls)(nil)

// Stalls implements ports.Stalls as the role lectern_worker, by the inbox of one
// consumer group.
type Stalls struct {
	pool  *pgxpool.Pool
	group string
}

// NewStalls makes it on a pool of lectern_worker.
func NewStalls(pool *pgxpool.Pool, group string) *Stalls { return &Stalls{pool, group} }

// FailStalled implements ports.Stalls.
func (s *Stalls) FailStalled(ctx context.Context, after time.Duration, limit int) ([]uuid.UUID, error) {
	rows, err := s.pool.Query(ctx, `select lectern.fail_stalled_courses($1, $2, $3)`, after, s.group, limit)
	if err != nil {
		return nil, fmt.Errorf("fail stalled courses: %w", asDomain(err))
	}
	failed, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("fail stalled courses: %w", asDomain(err))
	}
	return failed, nil
}
