package postgresbroker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// leases are the rows that this process holds. They are extended together.
type leases struct {
	mu   sync.Mutex
	seqs map[int64]struct{}
}

func newLeases() *leases { return &leases{seqs: map[int64]struct{}{}} }

func (l *leases) add(seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seqs[seq] = struct{}{}
}

func (l *leases) remove(seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seqs, seq)
}

func (l *leases) held() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.seqs))
}

// extend keeps the leases from ending until ctx ends.
func (l *leases) extend(ctx context.Context, pool *pgxpool.Pool, q queries, log *slog.Logger) {
	every := q.opts.Lease / 3
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		held := l.held()
		if len(held) == 0 {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, every)
		_, err := pool.Exec(limited, q.schema.in(extendSQL), held, q.opts.Lease.Seconds(), q.holder)
		cancel()
		if err != nil && ctx.Err() == nil {
			log.Warn("Leases not extended; messages in hand may come again", "messages", len(held), "error", err)
		}
	}
}
