package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// peerTables are of the same columns, checks and indexes as ours. They have
// neither foreign keys, nor our triggers, nor row security: the peers check by
// themselves.
const peerTables = `
create table courses (like lectern.courses including all) with (fillfactor = 70);
create table fsm_events (like lectern.fsm_events including all);
create table idempotency_keys (like lectern.idempotency_keys including all);
create table plain (id uuid primary key, note text not null, data jsonb not null);
create table answers (organization_id uuid, key text, result jsonb, primary key (organization_id, key));`

// openPeer opens a pool as large as ours, whose statements pgx prepares as it
// does ours.
func openPeer(ctx context.Context, dsn string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read peer's address: %w", err)
	}
	config.MaxConns = clients
	config.ConnConfig.RuntimeParams["search_path"] = "peer"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open peer's pool: %w", err)
	}
	return pool, nil
}

func makePeer(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, `create schema peer`); err != nil {
		return fmt.Errorf("make peer's schema: %w", err)
	}
	if _, err := pool.Exec(ctx, peerTables); err != nil {
		return fmt.Errorf("make peer's tables: %w", err)
	}
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return fmt.Errorf("read River's migrations: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("make River's tables: %w", err)
	}
	return nil
}
