package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern/bench/compare"
)

const (
	seriesEntries = 50_000      // in one drain of a series
	seriesDrains  = 30          // of a series, without a truncation
	seriesEdge    = 5           // at its begin and its end, that are compared
	snapshotHeld  = time.Minute // a reader's snapshot
	processedRows = 5_000_000   // in the table, beside those that are drained
)

// rates drains one fill after the other for as long as more says, and leaves
// vacuuming to the server.
func (r *relays) rates(ctx context.Context, run compare.Runner, more func(drained int) bool) ([]float64, error) {
	l, err := r.startLanes(ctx, toNowhere().broker(), asShipped())
	if err != nil {
		return nil, err
	}
	defer l.stop()
	var rates []float64
	for more(len(rates)) {
		if err := r.fillOutbox(ctx, "nowhere", seriesEntries); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := l.drain(ctx, seriesEntries); err != nil {
			return nil, err
		}
		rates = append(rates, seriesEntries/time.Since(start).Seconds())
		run.Log.Info("drain", "no", len(rates), "entries_per_second", int(rates[len(rates)-1]))
	}
	return rates, nil
}

func times(n int) func(int) bool { return func(drained int) bool { return drained < n } }

// edge are the drains at the begin, or the end, that are compared. One more
// before those at the begin warms up.
func (r *relays) edge(ctx context.Context, run compare.Runner) ([]float64, error) {
	if err := r.emptyOutbox(ctx); err != nil {
		return nil, err
	}
	rates, err := r.rates(ctx, run, times(1+seriesEdge))
	if err != nil {
		return nil, err
	}
	return rates[1:], nil
}

func drainResult(name, against string, goal float64) compare.Result {
	return compare.Result{Name: name, Unit: "entries/s", Against: against, Goal: compare.AtLeast(goal)}
}

func (r *relays) manyDrains() compare.Series {
	name := fmt.Sprintf("the last %d of %d fills and drains of %d", seriesEdge, seriesDrains, seriesEntries)
	return compare.Series{Name: name, Run: func(ctx context.Context, run compare.Runner) ([]compare.Result, error) {
		if err := r.emptyOutbox(ctx); err != nil {
			return nil, err
		}
		rates, err := r.rates(ctx, run, times(seriesDrains))
		if err != nil {
			return nil, err
		}
		return []compare.Result{
			compare.Found(drainResult(name, fmt.Sprintf("the first %d", seriesEdge), 0.8), rates[seriesDrains-seriesEdge:], rates[:seriesEdge]),
		}, nil
	}}
}

func (r *relays) heldSnapshot() compare.Series {
	name := "drains while a read snapshot is held for a minute, the last of them"
	return compare.Series{Name: name, Run: func(ctx context.Context, run compare.Runner) ([]compare.Result, error) {
		before, err := r.edge(ctx, run)
		if err != nil {
			return nil, err
		}
		reader, err := pgx.ConnectConfig(ctx, r.pg.admin.Config())
		if err != nil {
			return nil, fmt.Errorf("connect reader: %w", err)
		}
		defer func() { _ = reader.Close(context.WithoutCancel(ctx)) }() // which ends its transaction, too
		if _, err := reader.Exec(ctx, `begin isolation level repeatable read; select count(*) from lectern.courses`); err != nil {
			return nil, fmt.Errorf("take snapshot: %w", err)
		}
		taken := time.Now()
		rates, err := r.rates(ctx, run, func(drained int) bool { return drained < seriesEdge || time.Since(taken) < snapshotHeld })
		if err != nil {
			return nil, err
		}
		return []compare.Result{
			compare.Found(drainResult(name, "drains before it was taken", 0.7), rates[len(rates)-seriesEdge:], before),
		}, nil
	}}
}

func (r *relays) manyProcessed() compare.Series {
	name := fmt.Sprintf("drains beside %d processed rows", processedRows)
	return compare.Series{Name: name, Run: func(ctx context.Context, run compare.Runner) ([]compare.Result, error) {
		without, err := r.edge(ctx, run)
		if err != nil {
			return nil, err
		}
		if err := r.fillProcessed(ctx, run); err != nil {
			return nil, err
		}
		rates, err := r.rates(ctx, run, times(1+seriesEdge))
		if err != nil {
			return nil, err
		}
		return []compare.Result{compare.Found(drainResult(name, "drains without them", 0.8), rates[1:], without)}, r.emptyOutbox(ctx)
	}}
}

// fillProcessed adds rows that were processed over the last 30 days, and lets
// the server catch up. Nobody checks their courses, who are there.
func (r *relays) fillProcessed(ctx context.Context, run compare.Runner) error {
	const step = 500_000
	for n := 0; n < processedRows; n += step {
		if _, err := r.pg.admin.Exec(ctx, `set session_replication_role = replica`); err != nil {
			return fmt.Errorf("leave out foreign keys: %w", err)
		}
		err := r.insertEntries(ctx, "nowhere", step, fmt.Sprintf("now() - interval '30 days' * (1 - (%d + i) / %d.0)", n, processedRows))
		if _, resetErr := r.pg.admin.Exec(ctx, `reset session_replication_role`); err == nil {
			err = resetErr
		}
		if err != nil {
			return err
		}
		run.Log.Info("filled", "processed", n+step)
	}
	return r.pg.settle(ctx)
}
