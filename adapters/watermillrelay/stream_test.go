package watermillrelay_test

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"lectern/adapters/watermillrelay"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/migrations"
	"lectern/ports"
)

// What both engines keep is proven by cmd/lectern's TestRelayEngines. Here is
// what the stream adds, or what the stock subscriber would do by itself.

func TestMain(m *testing.M) { stack.Main(m) }

const patience = time.Minute

// outbox is a database with entries of one course.
type outbox struct {
	db    *stack.DB
	admin *pgx.Conn
	ids   []uuid.UUID
}

func newOutbox(t *testing.T, entries int) *outbox {
	t.Helper()
	o := &outbox{db: stack.Database(t)}
	owner, err := sql.Open("pgx", o.db.Owner)
	require.NoError(t, err)
	defer func() { require.NoError(t, owner.Close()) }()
	m, err := migrations.New(t.Context(), owner, migrations.DefaultRolePrefix)
	require.NoError(t, err)
	_, err = m.Up(t.Context())
	require.NoError(t, err)
	o.admin, err = pgx.Connect(t.Context(), o.db.Superuser)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.admin.Close(context.Background())) })
	_, err = o.admin.Exec(t.Context(), `insert into lectern.courses (id, organization_id, user_id, title, slug, language, style)
		values ($1, $1, $1, 'x', 'x', 'en', 'practical')`, uuid.UUID{6: 0x40, 8: 0x80})
	require.NoError(t, err)
	for range entries {
		id := uuid.New()
		o.ids = append(o.ids, id)
		_, err = o.admin.Exec(t.Context(), `insert into lectern.job_outbox (outbox_id, entity_id, run, queue_name, job_data)
			select $1, id, 1, 'summarization', '{}' from lectern.courses`, id)
		require.NoError(t, err)
	}
	return o
}

func (o *outbox) processed(t *testing.T) int {
	t.Helper()
	var n int
	require.NoError(t, o.admin.QueryRow(t.Context(), `select count(*) from lectern.job_outbox where processed_at is not null`).Scan(&n))
	return n
}

// run streams to a sink until the test ends, or the returned function is called.
func (o *outbox) run(t *testing.T, s *sink, idle time.Duration) (stop func()) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), o.db.Relay)
	require.NoError(t, err)
	stream := watermillrelay.New(pool, watermillrelay.Options{BatchSize: 10, IdleTimeout: idle}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- stream.Stream(ctx, s) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
		pool.Close()
	})
	t.Cleanup(stop)
	return stop
}

// sink sends as the test says, and keeps what it was handed and what came of
// the looks that were not idle.
type sink struct {
	send func(e domain.OutboxEntry) domain.Settlement

	mu    sync.Mutex
	sent  []uuid.UUID
	looks []ports.Look
}

func (s *sink) Looking() {}

func (s *sink) Send(_ context.Context, e domain.OutboxEntry) domain.Settlement {
	s.mu.Lock()
	s.sent = append(s.sent, e.ID)
	s.mu.Unlock()
	return s.send(e)
}

func (s *sink) Looked(ctx context.Context, look ports.Look) {
	s.mu.Lock()
	if look.Entries > 0 || look.Err != nil {
		s.looks = append(s.looks, look)
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}

func (s *sink) all() ([]uuid.UUID, []ports.Look) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]uuid.UUID{}, s.sent...), append([]ports.Look{}, s.looks...)
}

func published(e domain.OutboxEntry) domain.Settlement {
	return domain.Settlement{Published: []domain.OutboxEntry{e}}
}

// watermill-sql acknowledges by the last row alone: those before it that were
// left must not be settled with it.
func TestWhatWasLeftIsNotSettledWithWhatFollowsIt(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, 3)
	left := 3 // times
	s := &sink{send: func(e domain.OutboxEntry) domain.Settlement {
		if e.ID == o.ids[0] && left > 0 {
			left--
			return domain.Settlement{}
		}
		return published(e)
	}}
	o.run(t, s, time.Minute)
	require.Eventually(t, func() bool { return o.processed(t) == 3 }, patience, 10*time.Millisecond)
	sent, _ := s.all()
	require.Equal(t, []uuid.UUID{o.ids[0], o.ids[1], o.ids[2], o.ids[0], o.ids[0], o.ids[0]}, sent)
}

// watermill-sql, closed in mid-batch, forgets the message in hand; cancelled, it
// rolls back the batch. A stop lets the look end, and leaves nothing running.
func TestAStopSettlesTheLookUnderWay(t *testing.T) { //nolint:paralleltest // it looks for goroutines of its own
	o := newOutbox(t, 3)
	running := goleak.IgnoreCurrent()
	sending, release := make(chan struct{}, 3), make(chan struct{})
	s := &sink{send: func(e domain.OutboxEntry) domain.Settlement {
		sending <- struct{}{}
		<-release
		return published(e)
	}}
	stop := o.run(t, s, time.Minute)
	<-sending
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	close(release)
	<-stopped
	require.Equal(t, 3, o.processed(t))
	sent, looks := s.all()
	require.Equal(t, o.ids, sent)
	require.Equal(t, []ports.Look{{Entries: 3}}, looks)
	goleak.VerifyNone(t, running)
}

// One reads at a time. When it is frozen, the server ends its look, another
// goes on, and what the first says later counts for nothing.
func TestAFrozenLookHoldsUpTheOthersNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, 2)
	frozen, release := make(chan struct{}), make(chan struct{})
	first := &sink{send: func(e domain.OutboxEntry) domain.Settlement {
		if e.ID == o.ids[0] {
			close(frozen)
			<-release
		}
		return domain.Settlement{Dead: []domain.FailedEntry{{Entry: e, Reason: "late"}}}
	}}
	o.run(t, first, time.Second)
	<-frozen
	second := &sink{send: published}
	o.run(t, second, time.Minute)
	require.Eventually(t, func() bool { return o.processed(t) == 2 }, patience, 10*time.Millisecond)
	sent, _ := second.all()
	require.Equal(t, o.ids, sent, "in order, from the beginning on")

	close(release)
	require.Eventually(t, func() bool { _, looks := first.all(); return len(looks) > 0 }, patience, 10*time.Millisecond)
	_, looks := first.all()
	require.Error(t, looks[0].Err)
	require.Equal(t, 2, o.processed(t))
}
