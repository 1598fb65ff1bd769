package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"lectern/adapters/postgres"
	"lectern/configs"
	"lectern/migrations"
)

func (p *program) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date, take it back, or look at it",
		Long: `Applies the schema as the database's owner (postgres.owner_dsn), once 'roles' has
made the roles as the administrator. The service itself logs in as neither; it
refuses a schema that is not up to date.
A Postgres of Lectern's own is migrated by every start, so it needs none of this.`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var yes bool
	down := &cobra.Command{
		Use:   "down",
		Short: "Take back the whole schema, with all courses in it",
		Args:  positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return misuse(cmd, errors.New("migrate down deletes all courses: pass --yes if you mean it"))
			}
			return p.migrate(cmd.Context(), p.migrateDown)
		},
	}
	down.Flags().BoolVar(&yes, "yes", false, "yes, delete all courses")
	cmd.AddCommand(p.rolesCommand(), down, &cobra.Command{
		Use:     "up",
		Short:   "Apply what is missing, register the broker's topics, and schedule the clean-up if pg_cron does it",
		Example: "  LECTERN_POSTGRES__OWNER_DSN=postgres://... lectern --config postgres migrate up",
		Args:    positional(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.migrate(cmd.Context(), p.migrateUp) },
	}, &cobra.Command{
		Use:   "status",
		Short: "Say how far the database has come",
		Args:  positional(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.migrate(cmd.Context(), p.migrateStatus) },
	})
	return cmd
}

// migration is what a subcommand does with a database.
type migration func(ctx context.Context, t target) error

// target is a database, opened as its owner.
type target struct {
	*migrations.Migrator
	config configs.Config
	at     addresses
	log    *slog.Logger
}

// migrate opens the database as its owner, a server of our own included.
func (p *program) migrate(ctx context.Context, do migration) (err error) {
	config, err := p.loadConfig(configs.ForMigration, nil)
	if err != nil {
		return err
	}
	ui := newProgress(p.stderr)
	defer ui.close()
	log := p.logger(config.Log, true, ui)
	at := addresses{owner: config.Postgres.OwnerDSN}
	if config.Postgres.Embedded {
		server, found, err := startServer(ctx, config, log, ui)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stopServer(ctx, server)) }()
		at = found
	}
	return withMigrator(ctx, at.owner, config.Postgres.RolePrefix, func(m *migrations.Migrator) error {
		return do(ctx, target{m, config, at, log})
	})
}

func (p *program) migrateUp(ctx context.Context, t target) error {
	applied, err := t.Up(ctx)
	if err != nil {
		return err
	}
	for _, number := range applied {
		p.print("applied %d\n", number)
	}
	if err := registerTopics(ctx, t.config, t.at, t.log); err != nil {
		return err
	}
	if err := scheduleRetention(ctx, t.config.Retention, t.at.owner); err != nil {
		return err
	}
	return p.migrateStatus(ctx, t)
}

func (p *program) migrateDown(ctx context.Context, t target) error {
	// First, so that no job calls what is gone.
	if err := postgres.UnscheduleRetention(ctx, t.at.owner); err != nil {
		return err
	}
	taken, err := t.Down(ctx)
	if err != nil {
		return err
	}
	for _, number := range taken {
		p.print("took back %d\n", number)
	}
	return p.migrateStatus(ctx, t)
}

func (p *program) migrateStatus(ctx context.Context, t target) error {
	status, err := t.Status(ctx)
	if err != nil {
		return err
	}
	p.print("schema at %d of %d\n", status.Current, status.Latest)
	return nil
}

// print writes to standard output.
func (p *program) print(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stdout, format, args...) // a closed pipe is the reader's choice
}
