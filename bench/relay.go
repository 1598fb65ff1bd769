package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/adapters/postgres"
	"lectern/bench/compare"
	"lectern/configs"
	"lectern/domain"
)

// relays are what is measured of the relay: on a Postgres of the run's own, and
// the brokers of with-stack.
type relays struct {
	log     *slog.Logger
	entries int  // in one drain
	long    bool // with what takes minutes each
	pg      *server
	kafka   *kafka
	redis   *redisServer
	pool    *pgxpool.Pool // the role of the relay
	caller  domain.Identity
	courses []uuid.UUID
}

const (
	// courseCount is how many courses the entries of a drain are of, in turns.
	courseCount = 1000
	// relayConns are as many as the built-in config gives the relay's pool.
	relayConns = 8
	// fourLeases is how many relays share the outbox.
	fourLeases = 4
)

// asShipped is how many relays the built-in config runs side by side.
func asShipped() int { return configs.Default().Relay.Lanes }

func newRelays(o options, log *slog.Logger) *relays {
	return &relays{
		log: log, entries: o.entries, long: o.long,
		pg: &server{fsync: o.fsync}, kafka: &kafka{log: log}, redis: &redisServer{log: log},
	}
}

func (r *relays) benches() []compare.Trial {
	all := []compare.Trial{
		r.unpublished(), r.againstLoop(r.toKafka()), r.againstLoop(r.toRedis()),
		r.againstForwarder(r.toKafka(), forwarding{relays: asShipped(), goal: 40}),
		r.againstForwarder(r.toKafka(), forwarding{relays: asShipped(), batch: bestBatch, goal: 20}),
		r.againstForwarder(r.toRedis(), forwarding{relays: asShipped(), goal: 10}),
		r.againstForwarder(r.toRedis(), forwarding{relays: fourLeases, batch: bestBatch, turns: 3, goal: 5}),
		r.latency(), r.apart(),
	}
	if r.long {
		all = append(all, r.manyDrains(), r.heldSnapshot(), r.manyProcessed())
	}
	return all
}

func (r *relays) start(ctx context.Context) error {
	for _, s := range []subject{r.pg, r.kafka, r.redis} {
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	dsn, err := r.pg.embedded.DSN(relayRole)
	if err != nil {
		return err
	}
	if r.pool, err = postgres.Open(ctx, dsn, relayConns); err != nil {
		return err
	}
	r.caller = domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	r.courses, err = r.pg.insertCourses(ctx, "lectern.courses", r.caller, courseCount)
	return err
}

func (r *relays) settle(ctx context.Context) error { return r.pg.settle(ctx) }

func (r *relays) settings(ctx context.Context) ([]string, error) {
	var all []string
	for _, s := range []subject{r.pg, r.kafka, r.redis} {
		said, err := s.settings(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, said...)
	}
	return append(all, fmt.Sprintf("Relays drain %d entries of %d bytes at once, of %d courses; rows are kept", r.entries, entryBytes, courseCount)), nil
}

func (r *relays) stop(ctx context.Context) error {
	if r.pool != nil {
		r.pool.Close()
	}
	return errors.Join(r.redis.stop(ctx), r.kafka.stop(ctx), r.pg.stop(ctx))
}
