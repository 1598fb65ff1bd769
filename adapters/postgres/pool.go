package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/domain"
)

// connectTimeout bounds one attempt to reach the server.
const connectTimeout = 5 * time.Second

// Open connects to dsn with up to maxConns connections. It returns a *RoleError
// when row security and grants would not hold the role. The caller closes the
// pool. A pooler in transaction mode may lie between, where prepared statements
// are of no session: see docs/wake-up.md.
func Open(ctx context.Context, dsn string, maxConns int32) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("parse postgres dsn: %w", err)
	}
	cfg.MaxConns = maxConns
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.ConnConfig.RuntimeParams["application_name"] = "lectern"
	cfg.ConnConfig.RuntimeParams[searchPath] = "lectern"
	// A pooler may give us a session that somebody listens on; pgx would keep
	// all that it hears there.
	cfg.ConnConfig.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
	pool, err := openChecked(ctx, cfg)
	if isCode(err, "08P01") { // a pooler refuses settings that it can't keep for a session
		delete(cfg.ConnConfig.RuntimeParams, searchPath)
		pool, err = openChecked(ctx, cfg)
	}
	return pool, err
}

// searchPath is a convenience where sessions are our own: statements name the
// schema themselves.
const searchPath = "search_path"

func openChecked(ctx context.Context, cfg *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, cfg.Copy())
	if err != nil {
		return nil, fmt.Errorf("open postgres pool: %w", err)
	}
	if err := checkRole(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// CheckVersion returns an error unless the database's schema is at version
// want, saying what to do.
func CheckVersion(ctx context.Context, pool *pgxpool.Pool, want int64) error {
	var have int64
	err := pool.QueryRow(ctx, `select coalesce(max(version_id), 0) from lectern.goose_db_version where is_applied`).Scan(&have)
	switch {
	case isCode(err, "42P01", "3F000", "42501"):
		return fmt.Errorf("check schema version: the database has no schema of ours: run `lectern migrate up`: %w", err)
	case err != nil:
		return fmt.Errorf("check schema version: %w", asDomain(err))
	case have < want:
		return fmt.Errorf("check schema version: the database is at %d, this program needs %d: run `lectern migrate up`", have, want)
	case have > want:
		return fmt.Errorf("check schema version: the database is at %d, this program knows %d: run a newer lectern", have, want)
	}
	return nil
}

// asTenant runs queries in one round trip and one transaction that is bound to
// the caller's organization: a batch without transaction commands is one
// implicit transaction.
func asTenant(ctx context.Context, pool *pgxpool.Pool, caller domain.Identity, queue func(*pgx.Batch)) error {
	b := &pgx.Batch{}
	b.Queue(`select set_config('lectern.organization_id', $1, true)`, caller.OrganizationID.String())
	queue(b)
	if err := pool.SendBatch(ctx, b).Close(); err != nil {
		return asDomain(err)
	}
	return nil
}
