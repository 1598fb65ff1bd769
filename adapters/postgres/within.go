package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// What bounds a transaction of the relay. The server's bounds come first: a
// client that has left can't tell it to stop.
const (
	callTimeout      = 30 * time.Second
	statementTimeout = "20s"
	lockTimeout      = "3s"
)

// sender is a connection, or a pool of them.
type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// within runs queries in one round trip and one transaction whose time is
// bounded. The settings are the transaction's, not the session's, which a pooler
// may give to others.
//
// The relay's statements have one right plan each, over their index, and
// planning a claim takes a good part of its time: so it is done once, and not by
// how small the table happens to be then. Before Postgres 18, where a table has
// to be read through all the same, its plan counts as dear: hence no jit.
func within(ctx context.Context, on sender, queue func(*pgx.Batch)) error {
	b := &pgx.Batch{}
	b.Queue(`select set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true),
		set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)`, statementTimeout, lockTimeout)
	queue(b)
	return on.SendBatch(ctx, b).Close()
}
