package postgresbroker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// leases are the rows that this process holds. They are extended together.
type leases struct {
	mu   sync.Mutex
	rows map[rowKey]struct{}
}

type rowKey struct {
	topic, group string
	seq          int64
}

func newLeases() *leases { return &leases{rows: map[rowKey]struct{}{}} }

func (l *leases) add(row rowKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[row] = struct{}{}
}

func (l *leases) remove(row rowKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rows, row)
}

func (l *leases) held() (topics, groups []string, seqs []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for row := range l.rows {
		topics, groups, seqs = append(topics, row.topic), append(groups, row.group), append(seqs, row.seq)
	}
	return topics, groups, seqs
}

// extend keeps the leases from ending until ctx ends.
func (l *leases) extend(ctx context.Context, pool *pgxpool.Pool, q queries, log *slog.Logger) {
	ticker := time.NewTicker(q.opts.Lease / 3)
	defer ticker.Stop()
	for failing := false; ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		err := l.extendOnce(ctx, pool, q)
		if err != nil && !failing && ctx.Err() == nil {
			log.Warn("Leases not extended, what is in hand may come again", "error", err)
		}
		failing = err != nil
	}
}

func (l *leases) extendOnce(ctx context.Context, pool *pgxpool.Pool, q queries) error {
	topics, groups, seqs := l.held()
	if len(seqs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, q.opts.Lease/3)
	defer cancel()
	_, err := pool.Exec(ctx, q.schema.in(extendSQL), topics, groups, seqs, q.opts.Lease.Seconds(), q.holder)
	return err
}
