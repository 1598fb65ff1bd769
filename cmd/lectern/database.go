package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"lectern/adapters/embeddedpostgres"
	"lectern/adapters/postgres"
	"lectern/configs"
	"lectern/migrations"
)

// addresses are where the roles of the service log in.
type addresses struct {
	owner, app, worker, relay string
	broker                    string // "" unless the server is ours
}

// brokerSchema is the broker's own on a server of ours.
const brokerSchema = "lectern_broker"

// startServer starts a Postgres of our own and returns the roles' addresses.
func startServer(ctx context.Context, c configs.Config, log *slog.Logger, ui progress) (*embeddedpostgres.Server, addresses, error) {
	dir, err := dataDir(c)
	if err != nil {
		return nil, addresses{}, err
	}
	role := func(duty string) string { return c.Postgres.RolePrefix + "_" + duty }
	server, err := embeddedpostgres.Start(ctx, embeddedpostgres.Options{
		Dir: dir, Database: "lectern",
		Owner: role("owner"), Roles: []string{role("app"), role("worker"), role("relay"), role("broker")},
		Schemas:  map[string]string{brokerSchema: role("broker")},
		Log:      log,
		Progress: func(step embeddedpostgres.Progress) { showStart(ui, step) },
	})
	if err != nil {
		return nil, addresses{}, err
	}
	a := addresses{}
	for duty, at := range map[string]*string{
		"owner": &a.owner, "app": &a.app, "worker": &a.worker, "relay": &a.relay, "broker": &a.broker,
	} {
		dsn, roleErr := server.DSN(role(duty))
		*at, err = dsn, errors.Join(err, roleErr)
	}
	if err != nil {
		return nil, addresses{}, errors.Join(err, stopServer(ctx, server))
	}
	return server, a, nil
}

// showStart tells what takes its time: the download, and only the first time.
func showStart(ui progress, step embeddedpostgres.Progress) {
	switch step.Step {
	case embeddedpostgres.StepDownload:
		ui.stage("fetch Postgres (once), MiB", step.Done>>20, step.Total>>20)
	case embeddedpostgres.StepExtract:
		ui.say("Unpacking Postgres")
	case embeddedpostgres.StepInitialize:
		ui.say("Making the database")
	case embeddedpostgres.StepStart:
	}
}

func dataDir(c configs.Config) (string, error) {
	if c.DataDir != "" {
		return c.DataDir, nil
	}
	return embeddedpostgres.DefaultDir()
}

// stopServer stops a server of ours in order, even when ctx has ended.
func stopServer(ctx context.Context, server *embeddedpostgres.Server) error {
	if server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverStopTimeout)
	defer cancel()
	return server.Stop(ctx)
}

// withMigrator opens the owner's address for as long as use takes.
func withMigrator(ctx context.Context, dsn, rolePrefix string, use func(*migrations.Migrator) error) (err error) {
	config, err := parseDSN("postgres.owner_dsn", dsn)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	m, err := migrations.New(ctx, db, rolePrefix)
	if err != nil {
		return err
	}
	return use(m)
}

// database is the service's hold on its storage.
type database struct {
	server             *embeddedpostgres.Server // nil unless it is ours
	addresses          addresses
	app, worker, relay *pgxpool.Pool // nil unless the process has the role
}

// openDatabase connects each of the process's roles, to a server of our own if that is the
// config's, whose schema it brings up to date first.
func openDatabase(ctx context.Context, c configs.Config, log *slog.Logger, ui progress) (*database, error) {
	db := &database{addresses: addresses{app: c.Postgres.AppDSN, worker: c.Postgres.WorkerDSN, relay: c.Postgres.RelayDSN}}
	if c.Postgres.Embedded {
		var err error
		if db.server, db.addresses, err = startServer(ctx, c, log, ui); err != nil {
			return nil, err
		}
	}
	if err := db.open(ctx, c, log); err != nil {
		return nil, errors.Join(err, db.close(ctx))
	}
	return db, nil
}

func (db *database) open(ctx context.Context, c configs.Config, log *slog.Logger) error {
	latest, err := migrations.Latest()
	if err != nil {
		return err
	}
	if db.server != nil {
		err := withMigrator(ctx, db.addresses.owner, c.Postgres.RolePrefix, func(m *migrations.Migrator) error {
			_, err := m.Up(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, role := range []struct {
		pool **pgxpool.Pool
		dsn  string
		duty postgres.Duty
		role configs.Role
	}{
		{&db.app, db.addresses.app, postgres.App, configs.RoleAPI},
		{&db.worker, db.addresses.worker, postgres.Worker, configs.RoleWorker},
		{&db.relay, db.addresses.relay, postgres.Relay, configs.RoleRelay},
	} {
		if !c.Roles.Has(role.role) {
			continue
		}
		*role.pool, err = postgres.Open(ctx, role.dsn, int32(c.Postgres.MaxConns))
		if err == nil {
			err = postgres.CheckDuty(ctx, *role.pool, role.duty)
		}
		if err != nil {
			return useRole(fmt.Sprintf("postgres.%s_dsn", role.duty), c.Postgres.RolePrefix+"_"+string(role.duty), err)
		}
	}
	if c.Roles.NeedBroker() {
		if err := checkBrokerRoles(ctx, c, db.addresses, log); err != nil {
			return err
		}
	}
	return postgres.CheckVersion(ctx, cmp.Or(db.app, db.worker, db.relay), latest)
}

// useRole says what to do about an address that can't be used.
func useRole(key, wanted string, err error) error {
	var refused *postgres.RoleError
	if errors.As(err, &refused) {
		return inputError{fmt.Errorf("use %s: %w\nlog in as a role like %s, which 'lectern migrate roles' makes", key, err, wanted)}
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "42P05" || pg.Code == "26000") { // prepared already, or not at all
		return inputError{fmt.Errorf("use %s: %w\na pooler in transaction mode lies between, which keeps no prepared statements: "+
			"add default_query_exec_mode=cache_describe to the address (see docs/wake-up.md)", key, err)}
	}
	return fmt.Errorf("use %s: %w", key, err)
}

// close gives back the connections, then the server.
func (db *database) close(ctx context.Context) error {
	db.closePools()
	return stopServer(ctx, db.server)
}

// closePools waits for connections that are in use.
func (db *database) closePools() {
	for _, pool := range []*pgxpool.Pool{db.relay, db.worker, db.app} {
		if pool != nil {
			pool.Close()
		}
	}
}
