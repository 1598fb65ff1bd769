package postgresbroker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"lectern/ports"
)

// schema qualifies the tables of statements. It is not the search path: a
// pooler between us and the server would lose that.
type schema string

func (s schema) in(statement string) string {
	return strings.ReplaceAll(statement, "{schema}", pgx.Identifier{string(s)}.Sanitize())
}

const (
	lockSchemaSQL = `SELECT pg_advisory_xact_lock(hashtextextended('lectern broker ' || $1, 0))`
	hasSchemaSQL  = `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`
	hasTablesSQL  = `SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'messages')`
	makeSchemaSQL = `CREATE SCHEMA {schema}`
	registerSQL   = `INSERT INTO {schema}.subscriptions (topic, group_name)
		SELECT t, g FROM unnest($1::text[]) AS t, unnest($2::text[]) AS g
		UNION SELECT t, $4 FROM unnest($3::text[]) AS t
		ON CONFLICT DO NOTHING`
	isRegisteredSQL = `SELECT EXISTS (SELECT FROM {schema}.subscriptions WHERE topic = $1 AND group_name = $2)`
)

// A row of messages is fresh while due_at is null, else due at due_at: it is
// then either leased by its holder until then, or waiting for a retry.
//
// No index begins with seq alone: to find a group's first row, the planner
// would take it, and read past those of every other group. The rows come and
// go, so vacuum must not wait for a share of what was there at most.
const makeTablesSQL = `
CREATE TABLE {schema}.subscriptions (
	topic text NOT NULL,
	group_name text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (topic, group_name)
);
CREATE TABLE {schema}.messages (
	seq bigint GENERATED ALWAYS AS IDENTITY,
	topic text NOT NULL,
	group_name text NOT NULL,
	uuid text NOT NULL,
	payload bytea NOT NULL,
	metadata json NOT NULL,
	published_at timestamptz NOT NULL DEFAULT now(),
	attempts integer NOT NULL DEFAULT 0,
	due_at timestamptz,
	holder text,
	PRIMARY KEY (topic, group_name, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX messages_fresh ON {schema}.messages (topic, group_name, seq) WHERE due_at IS NULL;
CREATE INDEX messages_due ON {schema}.messages (topic, group_name, due_at) WHERE due_at IS NOT NULL;
`

// Prepare implements ports.Broker. It makes the schema and its tables if they are missing; several processes
// may call it at once.
func (b *Broker) Prepare(ctx context.Context, topics, groups []string) error {
	dead := deadTopics(topics)
	for _, name := range slices.Concat(topics, groups, dead) {
		if !isName(name) {
			return fmt.Errorf("prepare topics: the name %q must have 1 to 255 letters, digits, or any of - $ : . _", name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	if err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		if err := b.ensureTables(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, b.schema.in(registerSQL), topics, groups, dead, ports.GroupDead)
		return err
	}); err != nil {
		return fmt.Errorf("prepare topics in schema %q, which the broker's role must own or be able to create: %w", b.schema, err)
	}
	return nil
}

func deadTopics(topics []string) []string {
	var dead []string
	for _, topic := range topics {
		if !ports.IsDeadTopic(topic) {
			dead = append(dead, ports.DeadTopic(topic))
		}
	}
	return dead
}

// ensureTables asks before it creates: a role that owns its schema needn't be
// able to make one.
func (b *Broker) ensureTables(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, lockSchemaSQL, b.schema); err != nil {
		return err
	}
	for _, step := range []struct{ has, make string }{
		{hasSchemaSQL, makeSchemaSQL},
		{hasTablesSQL, makeTablesSQL},
	} {
		var has bool
		if err := tx.QueryRow(ctx, step.has, b.schema).Scan(&has); err != nil {
			return err
		}
		if has {
			continue
		}
		if _, err := tx.Exec(ctx, b.schema.in(step.make)); err != nil {
			return err
		}
	}
	return nil
}

// isName tells whether the stock subscriber accepts a topic's name.
func isName(s string) bool {
	return len(s) >= 1 && len(s) <= 255 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-$:._", r)
	}) < 0
}
