package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx/fxtest"

	"lectern/app"
	"lectern/configs"
	"lectern/ports"
)

// looked tells that somebody looked for what is due.
type looked chan struct{}

func (l looked) DeleteBatch(context.Context, ports.RetentionRule) (int64, bool, error) {
	close(l)
	return 0, false, nil
}

func TestTheServiceCleansUpWhenItIsTheScheduler(t *testing.T) {
	t.Parallel()
	for scheduler, runs := range map[string]bool{configs.SchedulerService: true, configs.SchedulerPgCron: false, configs.SchedulerOff: false} {
		t.Run(scheduler, func(t *testing.T) {
			t.Parallel()
			store := make(looked)
			lc := fxtest.NewLifecycle(t)
			runRetention(lc, newParts(func(err error) { t.Error(err) }), configs.Config{Retention: configs.Retention{Scheduler: scheduler}}, app.NewRetention(app.RetentionDeps{
				Store: store, Rules: []ports.RetentionRule{{Task: ports.RetentionKeys}}, LookEvery: time.Hour,
				Random: func() float64 { return 0 }, Log: slog.New(slog.DiscardHandler),
			}))
			lc.RequireStart()
			if runs {
				select {
				case <-store:
				case <-time.After(10 * time.Second):
					t.Error("nobody looked")
				}
			}
			lc.RequireStop()
			select {
			case <-store:
				require.True(t, runs, "somebody looked")
			default:
			}
		})
	}
}

func TestRetentionRulesAreTheConfigs(t *testing.T) {
	t.Parallel()
	require.Equal(t, []ports.RetentionRule{
		{Task: ports.RetentionKeys, Every: 1, Batch: 6},
		{Task: ports.RetentionEntries, Every: 2, After: 3, Batch: 6},
		{Task: ports.RetentionInbox, Every: 4, After: 5, Batch: 6},
	}, retentionRules(configs.Retention{KeysEvery: 1, EntriesEvery: 2, EntriesAfter: 3, InboxEvery: 4, InboxAfter: 5, Batch: 6}))
}
