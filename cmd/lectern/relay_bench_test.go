package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/configs"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/migrations"
	"lectern/ports"
)

// benchEntries is what a relay has before it, of 500 bytes each.
const benchEntries = 50_000

// BenchmarkRelay measures how fast a backlog is relayed, by brokers and lanes,
// beside the plain loop that the relay is measured against:
//
//	go run ./e2e/stack/cmd/with-stack -- go test -run '^$' -bench '^BenchmarkRelay' ./cmd/lectern
//
// Its numbers are for comparing within one run.
func BenchmarkRelay(b *testing.B) {
	b.Run("plain loop", func(b *testing.B) { benchDrain(b, plainLoop) })
	for kind, broker := range map[string]func(*testing.B) ports.Broker{
		"none": func(*testing.B) ports.Broker { return acceptsAll{} }, "redis": benchRedis, "kafka": benchKafka,
	} {
		for _, lanes := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s/%d", kind, lanes), func(b *testing.B) {
				to := broker(b)
				benchDrain(b, func(b *testing.B, db *stack.DB) func() error { return startLanes(b, db, to, lanes) })
			})
		}
	}
}

// benchDrain measures what drain, which start makes, needs for a backlog.
func benchDrain(b *testing.B, start func(*testing.B, *stack.DB) (drain func() error)) {
	b.Helper()
	db := benchDatabase(b)
	admin, err := pgx.Connect(b.Context(), db.Superuser)
	require.NoError(b, err)
	defer func() { _ = admin.Close(context.WithoutCancel(b.Context())) }()
	drain := start(b, db)
	for b.Loop() {
		b.StopTimer()
		fillBacklog(b, admin)
		b.StartTimer()
		require.NoError(b, drain())
	}
	b.ReportMetric(float64(b.N)*benchEntries/b.Elapsed().Seconds(), "entries/s")
}

func benchDatabase(b *testing.B) *stack.DB {
	b.Helper()
	db := stack.Database(b)
	require.NoError(b, withMigrator(b.Context(), db.Owner, migrations.DefaultRolePrefix, func(m *migrations.Migrator) error {
		_, err := m.Up(b.Context())
		return err
	}))
	return db
}

const benchCourses = `insert into lectern.courses (id, organization_id, user_id, title, slug, language, style)
	select gen_random_uuid(), o, o, 'x', 'x', 'en', 'practical' from gen_random_uuid() o, generate_series(1, 500)`

func fillBacklog(b *testing.B, admin *pgx.Conn) {
	b.Helper()
	for _, sql := range []string{
		`delete from lectern.courses`,
		benchCourses,
		`insert into lectern.job_outbox (outbox_id, entity_id, run, queue_name, job_data)
		 select gen_random_uuid(), id, 1, 'summarization', jsonb_build_object('course_id', id, 'text', repeat('x', 430))
		 from generate_series(1, ` + strconv.Itoa(benchEntries) + ` / 500), lectern.courses`,
		`vacuum analyze lectern.job_outbox`,
		`checkpoint`,
	} {
		_, err := admin.Exec(b.Context(), sql)
		require.NoError(b, err)
	}
}

// plainLoop claims and settles with nothing around it, on one connection.
func plainLoop(b *testing.B, db *stack.DB) func() error {
	b.Helper()
	pool, err := postgres.Open(b.Context(), db.Relay, 1)
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	last := int64(0)
	return func() error { return drainPlainly(b.Context(), pool, &last) }
}

func drainPlainly(ctx context.Context, pool *pgxpool.Pool, last *int64) error {
	type row struct {
		id, course uuid.UUID
		seq        int64
		queue      string
		data       []byte
	}
	const pending = `processed_at is null and dead_at is null and parked is null`
	for left := benchEntries; left > 0; {
		rows, err := pool.Query(ctx, `select outbox_id, seq, entity_id, queue_name, job_data from lectern.job_outbox
			where `+pending+` and seq > $1 order by seq limit 500`, *last)
		if err != nil {
			return err
		}
		entries, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (e row, err error) {
			return e, r.Scan(&e.id, &e.seq, &e.course, &e.queue, &e.data)
		})
		if err != nil || len(entries) == 0 {
			return errors.Join(err, errNothingLeft)
		}
		seqs := make([]int64, len(entries))
		for i, e := range entries {
			seqs[i] = e.seq
		}
		if _, err := pool.Exec(ctx, `update lectern.job_outbox set processed_at = now() where seq = any ($1) and `+pending, seqs); err != nil {
			return err
		}
		*last, left = seqs[len(seqs)-1], left-len(seqs)
	}
	return nil
}

var errNothingLeft = errors.New("fewer entries than there should be")

// startLanes starts a relay with several lanes.
func startLanes(b *testing.B, db *stack.DB, broker ports.Broker, lanes int) func() error {
	b.Helper()
	count, wake := &settledCount{whole: make(chan struct{}, 1)}, app.NewSignal()
	runLanes(b, db, broker, wake, lanes, count)
	return func() error {
		wake.Notify()
		select {
		case <-count.whole:
			return nil
		case <-time.After(time.Minute):
			return errNothingLeft
		}
	}
}

func runLanes(b *testing.B, db *stack.DB, broker ports.Broker, wake *app.Signal, lanes int, count *settledCount) {
	b.Helper()
	pool, err := postgres.Open(b.Context(), db.Relay, 8)
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	b.Cleanup(func() { cancel(); running.Wait() })
	outboxes := make([]ports.Outbox, lanes)
	for i := range outboxes {
		outboxes[i] = countingOutbox{postgres.NewOutbox(pool, time.Now), count}
	}
	relay := app.NewLanes(app.RelayDeps{
		Broker: broker, Wake: wake, Now: time.Now, Log: slog.New(slog.DiscardHandler), Holder: "bench",
		Backoff: app.Backoff{Base: time.Second, Max: time.Second, Random: func() float64 { return 1 }},
		Config:  app.RelayConfig{BatchSize: 500, PollMin: time.Hour, PollMax: time.Hour, MaxAttempts: 5, Lease: 10 * time.Second},
	}, outboxes)
	running.Go(func() { _ = relay.Run(ctx) })
}

// settledCount tells when a backlog is settled.
type settledCount struct {
	settled atomic.Int64
	whole   chan struct{}
}

type countingOutbox struct {
	ports.Outbox
	count *settledCount
}

func (o countingOutbox) Settle(ctx context.Context, lease ports.Lease, s domain.Settlement) error {
	err := o.Outbox.Settle(ctx, lease, s)
	if err == nil && o.count.settled.Add(int64(len(s.Published)))%benchEntries == 0 {
		o.count.whole <- struct{}{}
	}
	return err
}

// acceptsAll is a broker that has sent everything at once.
type acceptsAll struct{ ports.Broker }

func (acceptsAll) Publish(string, ...*message.Message) error { return nil }

func benchRedis(b *testing.B) ports.Broker {
	b.Helper()
	server, err := redis.ParseURL(stack.Redis(b))
	require.NoError(b, err)
	return benchBroker(b, configs.Broker{Kind: "redis", Options: map[string]any{
		"addresses": []any{server.Addr}, "db": server.DB, "login": map[string]any{"user": server.Username, "password": server.Password},
	}})
}

func benchKafka(b *testing.B) ports.Broker {
	b.Helper()
	k := stack.Kafka(b)
	var addresses []any
	for _, address := range k.Addresses {
		addresses = append(addresses, address)
	}
	return benchBroker(b, configs.Broker{Kind: "kafka", Options: map[string]any{"addresses": addresses, "topic_prefix": k.Prefix}})
}

func benchBroker(b *testing.B, config configs.Broker) ports.Broker {
	b.Helper()
	l, err := newLone(config, addresses{}, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	require.NoError(b, l.app.Start(b.Context()))
	b.Cleanup(func() { require.NoError(b, l.app.Stop(context.Background())) })
	require.NoError(b, prepare(b.Context(), l.Broker))
	return l.Broker
}
