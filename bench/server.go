package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // migrations come through database/sql

	"lectern/adapters/embeddedpostgres"
	"lectern/adapters/postgres"
	"lectern/bench/compare"
	"lectern/migrations"
)

const (
	ownerRole   = migrations.DefaultRolePrefix + "_owner"
	appRole     = migrations.DefaultRolePrefix + "_app"
	relayRole   = migrations.DefaultRolePrefix + "_relay"
	database    = "lectern"
	stopTimeout = 30 * time.Second
)

// server is a Postgres of the run's own, with Lectern's schema, and the schema
// peer beside it in the same database.
type server struct {
	fsync    string // on or off
	embedded *embeddedpostgres.Server
	dir      string
	app      *pgxpool.Pool // the role of the service
	peer     *pgxpool.Pool // the owner's, on the schema peer
	admin    *pgx.Conn     // the superuser's, for what is not measured
}

func (s *server) benches() []compare.Trial {
	return []compare.Trial{s.commandThroughput(), s.commandLatency(), s.replayLatency()}
}

// start starts Postgres as it is set up by default, and so as durable as in
// production, or with fsync off.
func (s *server) start(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "lectern-bench-"); err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	// When we are root another user runs the server.
	if err := os.Chmod(s.dir, fs.FileMode(0o755)); err != nil {
		return fmt.Errorf("open temporary folder: %w", err)
	}
	s.embedded, err = embeddedpostgres.Start(ctx, embeddedpostgres.Options{
		Dir: filepath.Join(s.dir, "postgres"), Owner: ownerRole, Database: database,
		Roles:    []string{appRole, migrations.DefaultRolePrefix + "_worker", relayRole},
		Settings: map[string]string{"fsync": s.fsync},
	})
	if err != nil {
		return err
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	return makePeer(ctx, s.peer)
}

func (s *server) connect(ctx context.Context) error {
	admin, err := pgx.ParseConfig(s.embedded.SuperuserDSN())
	if err != nil {
		return fmt.Errorf("read superuser's address: %w", err)
	}
	admin.Database = database
	if s.admin, err = pgx.ConnectConfig(ctx, admin); err != nil {
		return fmt.Errorf("connect as superuser: %w", err)
	}
	owner, err := s.embedded.DSN(ownerRole)
	if err != nil {
		return err
	}
	if err := migrate(ctx, owner); err != nil {
		return err
	}
	if s.peer, err = openPeer(ctx, owner); err != nil {
		return err
	}
	app, err := s.embedded.DSN(appRole)
	if err != nil {
		return err
	}
	s.app, err = postgres.Open(ctx, app, clients)
	return err
}

func migrate(ctx context.Context, dsn string) (err error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	m, err := migrations.New(ctx, db, migrations.DefaultRolePrefix)
	if err != nil {
		return err
	}
	_, err = m.Up(ctx)
	return err
}

// settle leaves the server nothing to catch up on.
func (s *server) settle(ctx context.Context) error {
	for _, statement := range []string{"vacuum analyze", "checkpoint"} {
		if _, err := s.admin.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// settings says what the numbers depend on.
func (s *server) settings(ctx context.Context) ([]string, error) {
	names := []string{"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers"}
	said := make([]string, len(names))
	for i, name := range names {
		var value string
		if err := s.admin.QueryRow(ctx, `select current_setting($1)`, name).Scan(&value); err != nil {
			return nil, fmt.Errorf("read setting %s: %w", name, err)
		}
		said[i] = name + " " + value
	}
	return []string{"Postgres with " + strings.Join(said, ", ")}, nil
}

// stop works for a server that has come up in part, too.
func (s *server) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, pool := range []*pgxpool.Pool{s.app, s.peer} {
		if pool != nil {
			pool.Close()
		}
	}
	var err error
	if s.admin != nil {
		err = s.admin.Close(ctx)
	}
	if s.embedded != nil {
		err = errors.Join(err, s.embedded.Stop(ctx))
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
