package main

import (
	"context"
	"log/slog"
	"math/rand/v2"

	"go.uber.org/fx"

	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/configs"
	"lectern/ports"
)

func newRetention(c configs.Config, log *slog.Logger, db *database) *app.Retention {
	return app.NewRetention(app.RetentionDeps{
		Store: postgres.NewRetention(db.relay), Rules: retentionRules(c.Retention), LookEvery: c.Retention.LookEvery,
		Random: rand.Float64, Log: log,
	})
}

func retentionRules(c configs.Retention) []ports.RetentionRule {
	return []ports.RetentionRule{
		{Task: ports.RetentionKeys, Every: c.KeysEvery, Batch: c.Batch},
		{Task: ports.RetentionEntries, Every: c.EntriesEvery, After: c.EntriesAfter, Batch: c.Batch},
		{Task: ports.RetentionInbox, Every: c.InboxEvery, After: c.InboxAfter, Batch: c.Batch},
	}
}

// runRetention cleans up in this process, unless that is pg_cron's or nobody's.
func runRetention(lc fx.Lifecycle, p *parts, c configs.Config, retention *app.Retention) {
	if c.Retention.Scheduler == configs.SchedulerService {
		p.background(lc, "clean-up", retention.Run)
	}
}

// scheduleRetention makes pg_cron's jobs when the config asks for them, and
// takes them away when it does not.
func scheduleRetention(ctx context.Context, c configs.Retention, ownerDSN string) error {
	if c.Scheduler == configs.SchedulerPgCron {
		return postgres.ScheduleRetention(ctx, ownerDSN, retentionRules(c))
	}
	return postgres.UnscheduleRetention(ctx, ownerDSN)
}
