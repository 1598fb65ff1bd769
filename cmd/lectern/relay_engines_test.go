package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"lectern/adapters/memorybroker"
	"lectern/adapters/postgres"
	"lectern/adapters/watermillrelay"
	"lectern/app"
	"lectern/configs"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/migrations"
	"lectern/ports"
	"lectern/ports/portstest"
)

// Both engines as the program wires them, on a real Postgres.
func TestRelayEngines(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{configs.EngineBatch, configs.EngineWatermill} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			portstest.TestRelay(t, func(t *testing.T) portstest.RelayHarness {
				t.Helper()
				return newRelaySite(t).harness(engine)
			})
		})
	}
}

// relaySite is a database for relays, and who commits to it.
type relaySite struct {
	db    *stack.DB
	admin *pgxpool.Pool
}

func newRelaySite(t *testing.T) *relaySite {
	t.Helper()
	s := &relaySite{db: stack.Database(t)}
	require.NoError(t, withMigrator(t.Context(), s.db.Owner, migrations.DefaultRolePrefix, func(m *migrations.Migrator) error {
		_, err := m.Up(t.Context())
		return err
	}))
	var err error
	s.admin, err = pgxpool.New(t.Context(), s.db.Superuser)
	require.NoError(t, err)
	t.Cleanup(s.admin.Close)
	return s
}

func (s *relaySite) harness(engine string) portstest.RelayHarness {
	return portstest.RelayHarness{
		NewBroker: newRelayBroker,
		Relay: func(t *testing.T, to ports.Broker, c portstest.RelayConfig) (ports.Relay, func()) {
			t.Helper()
			return s.relay(t, engine, to, c)
		},
		Begin: s.begin, Entry: s.entry, Pending: s.pending, Redrive: s.redrive, Sever: s.sever,
	}
}

func newRelayBroker(t *testing.T) ports.Broker {
	t.Helper()
	options, err := memorybroker.DecodeOptions(nil)
	require.NoError(t, err)
	broker, err := memorybroker.New(t.Context(), options, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Close()) })
	return broker
}

// relay makes one as a process of its own has it.
func (s *relaySite) relay(t *testing.T, engine string, to ports.Broker, c portstest.RelayConfig) (ports.Relay, func()) {
	t.Helper()
	pool, err := postgres.Open(t.Context(), s.db.Relay, 4)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	config := configs.Default()
	config.Relay = configs.Relay{
		Engine: engine, Lanes: 2, BatchSize: c.BatchSize, PollMin: c.Poll, PollMax: 2 * c.Poll, MaxAttempts: c.MaxAttempts,
		Lease: 3 * time.Second, OnDead: c.OnDead,
	}
	log, signals := slog.New(slog.NewTextHandler(t.Output(), nil)), app.NewSignals()
	backoff := app.Backoff{Base: portstest.RelayBackoff / 4, Max: portstest.RelayBackoff, Random: func() float64 { return 0.5 }}
	listener := app.NewEntryListener(hearing{}, signals, backoff, log)
	runUntilTheEnd(t, listener.Run)
	stream := watermillrelay.New(pool, watermillrelay.Options{BatchSize: c.BatchSize, IdleTimeout: watermillrelay.DefaultIdleTimeout}, log)
	relay := newRelay(config, log, &database{relay: pool}, to, signals, listener, backoff, stream)
	return relay, signals.Entries.Notify
}

// hearing hears of nothing, and so lets a relay poll as seldom as it likes.
type hearing struct{}

func (hearing) ListenForEntries(ctx context.Context, ready, _ func()) error {
	ready()
	<-ctx.Done()
	return ctx.Err()
}

func runUntilTheEnd(t *testing.T, run func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// begin adds entries in a transaction that commit ends.
func (s *relaySite) begin(t *testing.T, course uuid.UUID, added ...portstest.RelayEntry) (ids []uuid.UUID, commit func()) {
	t.Helper()
	type entry struct {
		ID      uuid.UUID         `json:"outbox_id"`
		Queue   domain.Queue      `json:"queue"`
		Data    map[string]any    `json:"data"`
		Options domain.JobOptions `json:"options"`
	}
	var entries []entry
	for _, e := range added {
		id, err := uuid.NewV7()
		require.NoError(t, err)
		ids = append(ids, id)
		entries = append(entries, entry{ID: id, Queue: e.Queue, Data: map[string]any{"course_id": course}})
		if e.Delay > 0 {
			due := time.Now().Add(e.Delay)
			entries[len(entries)-1].Options.NotBefore = &due
		}
	}
	tx, err := s.admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `insert into lectern.courses (id, organization_id, user_id, title, slug, language, style)
		values ($1, $1, $1, 'x', 'x', 'en', 'practical') on conflict do nothing`, course)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.lock_course($1)`, course)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.add_entries($1, 1, $2, 'TEST', null)`, course, entries)
	require.NoError(t, err)
	return ids, func() { require.NoError(t, tx.Commit(t.Context())) }
}

func (s *relaySite) entry(t *testing.T, id uuid.UUID) domain.OutboxEntry {
	t.Helper()
	var e domain.OutboxEntry
	require.NoError(t, s.admin.QueryRow(t.Context(), `select to_jsonb(o) from lectern.job_outbox o where outbox_id = $1`, id).Scan(&e))
	return e
}

func (s *relaySite) pending(t *testing.T) int {
	t.Helper()
	var n int
	require.NoError(t, s.admin.QueryRow(t.Context(), `select count(*) from lectern.job_outbox where processed_at is null and dead_at is null`).Scan(&n))
	return n
}

func (s *relaySite) redrive(t *testing.T, id uuid.UUID) {
	t.Helper()
	require.NoError(t, pgx.BeginFunc(t.Context(), s.admin, func(tx pgx.Tx) error {
		var refused *string
		return tx.QueryRow(t.Context(), `select r.refusal from lectern.job_outbox o, set_config('lectern.organization_id', o.entity_id::text, true),
			lectern.redrive_entries(array[o.outbox_id::uuid], o.entity_id, false) r where o.outbox_id = $1`, id).Scan(&refused)
	}))
}

func (s *relaySite) sever(t *testing.T) {
	t.Helper()
	_, err := s.admin.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and usename = 'lectern_relay'`)
	require.NoError(t, err)
}
