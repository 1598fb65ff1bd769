package app

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"lectern/ports"
)

// RetentionDeps are what the clean-up needs.
type RetentionDeps struct {
	Store     ports.Retention
	Rules     []ports.RetentionRule
	LookEvery time.Duration  // between looks at what is due, at most
	Random    func() float64 // in [0, 1)
	Log       *slog.Logger
}

// Retention deletes what is kept no longer. Any number may run: the store lets
// one at a time work on a task, and knows when it is due.
type Retention struct {
	RetentionDeps

	mu      sync.Mutex
	deleted map[ports.RetentionTask]int64
}

// NewRetention makes a clean-up; Run starts it.
func NewRetention(deps RetentionDeps) *Retention {
	return &Retention{RetentionDeps: deps, deleted: map[ports.RetentionTask]int64{}}
}

// Run looks at once, and then again and again, for what is due, until ctx
// ends. It returns nil: what goes wrong is logged, and tried at the next look.
func (r *Retention) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		for _, rule := range r.Rules {
			r.clean(ctx, rule)
		}
		// Between half and all of it, so that replicas don't look in step.
		wait(ctx, time.Duration(float64(r.LookEvery)*(0.5+r.Random()/2)), nil)
	}
	return nil
}

// clean runs a task's batches, one after the other, to the end of its run.
func (r *Retention) clean(ctx context.Context, rule ports.RetentionRule) {
	var total int64
	for ctx.Err() == nil {
		deleted, more, err := r.Store.DeleteBatch(ctx, rule)
		total += deleted
		r.count(rule.Task, deleted)
		if err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "clean-up failed, and goes on at the next look", "task", rule.Task, "error", err)
		}
		if err != nil || !more {
			break
		}
	}
	if total > 0 {
		r.Log.InfoContext(ctx, "cleaned up", "task", rule.Task, "deleted", total)
	}
}

func (r *Retention) count(task ports.RetentionTask, deleted int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deleted[task] += deleted
}

// Deleted returns how many rows this process has deleted since its start, by
// task.
func (r *Retention) Deleted() map[ports.RetentionTask]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.deleted)
}
