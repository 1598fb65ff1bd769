package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern/ports"
)

// cronJobs begins the names of our jobs.
const cronJobs = "lectern_retention_"

// cronHourly has a job look each hour, beside the full one, when every
// database is busy; run_retention knows whether its task is due.
const cronHourly = "17 * * * *"

// ScheduleRetention has pg_cron clean up: one job a rule, which looks each
// hour, in the place of those that were there. dsn is the schema owner's, who
// the jobs run as. The error says what to do where pg_cron can't be used.
func ScheduleRetention(ctx context.Context, dsn string, rules []ports.RetentionRule) error {
	return asOwner(ctx, dsn, "schedule clean-up", func(conn *pgx.Conn) error {
		if err := checkCron(ctx, conn); err != nil {
			return err
		}
		for _, rule := range rules {
			_, err := conn.Exec(ctx, `select cron.schedule($1, $2, $3)`, cronJobs+string(rule.Task), cronHourly, cronCommand(rule))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// UnscheduleRetention takes the jobs away, if there are any.
func UnscheduleRetention(ctx context.Context, dsn string) error {
	return asOwner(ctx, dsn, "take clean-up off pg_cron", func(conn *pgx.Conn) error {
		if cron, err := findCron(ctx, conn); err != nil || !cron.usable {
			return err // without the right to use it we have made no jobs
		}
		_, err := conn.Exec(ctx, `select cron.unschedule(jobid) from cron.job
			where starts_with(jobname, $1) and username = current_user and database = current_database()`, cronJobs)
		return err
	})
}

// cronCommand is what a job does: batches to the end of the run, each committed
// before the next. No procedure of ours could: one that pins its search_path,
// as all of ours do, may not commit.
func cronCommand(r ports.RetentionRule) string {
	return fmt.Sprintf(
		`do $$ begin while lectern.run_retention('%s', interval '%d seconds', interval '%d seconds', %d) >= %d loop commit; end loop; end $$`,
		r.Task, int64(r.Every/time.Second), int64(r.After/time.Second), r.Batch, r.Batch)
}

// cron is what a database has of pg_cron.
type cron struct {
	there, usable  bool
	database, user string
}

func findCron(ctx context.Context, conn *pgx.Conn) (c cron, err error) {
	err = conn.QueryRow(ctx, `
		select exists (select from pg_extension where extname = 'pg_cron'),
		       coalesce((select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = 'cron'), false),
		       current_database(), current_user`).Scan(&c.there, &c.usable, &c.database, &c.user)
	c.usable = c.usable && c.there
	return c, err
}

func checkCron(ctx context.Context, conn *pgx.Conn) error {
	c, err := findCron(ctx, conn)
	grant := "grant usage on schema cron to " + pgx.Identifier{c.user}.Sanitize()
	switch {
	case err != nil:
		return err
	case !c.there:
		return fmt.Errorf("retention.scheduler is pg_cron, which the database %q doesn't have: let an administrator add pg_cron to "+
			"shared_preload_libraries, set cron.database_name to %q, restart the server, and run in that database `create extension pg_cron; %s`; "+
			"or set retention.scheduler to service", c.database, c.database, grant)
	case !c.usable:
		return fmt.Errorf("retention.scheduler is pg_cron, which %q may not use: let an administrator run in the database %q `%s`; "+
			"or set retention.scheduler to service", c.user, c.database, grant)
	}
	return nil
}

func asOwner(ctx context.Context, dsn, what string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err == nil {
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		err = do(conn)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, asDomain(err))
	}
	return nil
}
