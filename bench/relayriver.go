package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// riverWorker tells of each job when it has it.
type riverWorker struct {
	river.WorkerDefaults[riverJob]
	seen *watch
}

// Work implements river.Worker.
func (w *riverWorker) Work(_ context.Context, job *river.Job[riverJob]) error {
	w.seen.arrived(job.Args.CourseID.String())
	return nil
}

// riverWorkers bounds jobs in hand. It has no default; River's README has 100,
// which at its default FetchCooldown of 100 ms would be no more than 1,000 jobs/s.
const riverWorkers = 1000

// byRiver inserts a job, and nothing of what else a command does, into a client
// that works it in the same process. A cooldown of 0 is River's default.
func (r *relays) byRiver(cooldown time.Duration) func(context.Context) (flow, func() error, error) {
	return func(ctx context.Context) (flow, func() error, error) {
		if _, err := r.pg.admin.Exec(ctx, `truncate peer.river_job`); err != nil {
			return flow{}, nil, fmt.Errorf("empty River's table: %w", err)
		}
		pool, err := pgxpool.NewWithConfig(ctx, r.pg.peer.Config()) // beside that of those who insert
		if err != nil {
			return flow{}, nil, fmt.Errorf("open River's pool: %w", err)
		}
		seen := &watch{}
		workers := river.NewWorkers()
		river.AddWorker(workers, &riverWorker{seen: seen})
		client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
			Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers}}, Workers: workers,
			FetchCooldown: cooldown, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return flow{}, nil, fmt.Errorf("make River's client: %w", err)
		}
		// It tells of its jobs no more often than its own cooldown says.
		inserter, err := river.NewClient(riverpgxv5.New(r.pg.peer), &river.Config{FetchCooldown: cooldown})
		if err != nil {
			return flow{}, nil, fmt.Errorf("make River's client: %w", err)
		}
		if err := client.Start(ctx); err != nil {
			return flow{}, nil, fmt.Errorf("start River: %w", err)
		}
		stop := func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			defer pool.Close()
			return client.Stop(ctx)
		}
		return riverFlow(inserter, seen), stop, nil
	}
}

func riverFlow(client *river.Client[pgx.Tx], seen *watch) flow {
	return flow{seen: seen, prepare: func(_ context.Context, n int, of *trace) (func(context.Context, int) error, error) {
		courses, err := newIDs(n)
		if err != nil {
			return nil, err
		}
		for i, course := range courses {
			of.index.Store(course.String(), i)
		}
		return func(ctx context.Context, i int) error {
			_, err := client.Insert(ctx, riverJob{courses[i]}, nil)
			return err
		}, nil
	}}
}
