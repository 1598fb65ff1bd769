package postgres_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/migrations"
	"lectern/ports"
)

func TestMain(m *testing.M) { stack.Main(m) }

// bundle is a migrated database and the stores on it, each with its own role.
type bundle struct {
	db       *stack.DB
	courses  *postgres.Courses
	reader   *postgres.Courses // the same on connections of its own
	commands *postgres.Commands
	steps    *postgres.Steps
	outbox   *postgres.Outbox
	lease    ports.Lease // on all of the outbox
	caller   domain.Identity

	relayPool *pgxpool.Pool // the outbox's
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return setupOn(t, stack.Database(t))
}

func setupOn(t *testing.T, db *stack.DB) *bundle {
	t.Helper()
	migrate(t, db.Owner)
	app, relay := open(t, db.App), open(t, db.Relay)
	b := &bundle{
		db:       db,
		courses:  postgres.NewCourses(app),
		reader:   postgres.NewCourses(open(t, db.App)),
		commands: postgres.NewCommands(app),
		steps:    postgres.NewSteps(open(t, db.Worker), "workers"),
		outbox:   newOutbox(t, relay),
		caller:   domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()},

		relayPool: relay,
	}
	lease, err := b.outbox.Balance(t.Context(), "test", time.Hour, 500)
	require.NoError(t, err)
	b.lease = lease
	return b
}

// newOutbox makes a relay's store that is let go of when the test ends.
func newOutbox(t *testing.T, pool *pgxpool.Pool) *postgres.Outbox {
	t.Helper()
	o := postgres.NewOutbox(pool, time.Now)
	t.Cleanup(func() { _ = o.GiveBack(context.Background(), "nobody") }) // the server may be gone
	return o
}

func migrate(t *testing.T, dsn string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	m, err := migrations.New(t.Context(), db, migrations.DefaultRolePrefix)
	require.NoError(t, err)
	_, err = m.Up(t.Context())
	require.NoError(t, err)
}

func open(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), dsn, 8)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// connect opens a plain connection, for looking at what a role may do.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

func newID(t *testing.T) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	return id
}

// course makes a pending course of the bundle's caller.
func (b *bundle) course(t *testing.T) domain.Course {
	t.Helper()
	c, err := domain.NewCourse(newID(t), b.caller, "Selling courses", "en", domain.StylePractical, domain.Settings{})
	require.NoError(t, err)
	c, err = b.courses.Create(t.Context(), c, "", "")
	require.NoError(t, err)
	return c
}

func job(t *testing.T, queue domain.Queue, course uuid.UUID) domain.Job {
	t.Helper()
	data, err := json.Marshal(domain.JobData{CourseID: course})
	require.NoError(t, err)
	j, err := domain.NewJob(newID(t), queue, data, domain.JobOptions{})
	require.NoError(t, err)
	return j
}

// command makes a valid command of the bundle's caller.
func (b *bundle) command(t *testing.T, c domain.Course, key string, state domain.State, jobs ...domain.Job) domain.InitializeFSMCommand {
	t.Helper()
	cmd, err := domain.NewInitializeFSMCommand("InitializeFSM", domain.InitializeFSMCommand{
		CourseID: c.ID, Caller: b.caller, Key: domain.IdempotencyKey(key), InitiatedBy: domain.ActorTest, State: state, Jobs: jobs,
	})
	require.NoError(t, err)
	return cmd
}

// start runs a command and returns the entries of the course.
func (b *bundle) start(t *testing.T, c domain.Course, state domain.State, jobs ...domain.Job) []domain.OutboxEntry {
	t.Helper()
	_, err := b.commands.InitializeFSM(t.Context(), b.command(t, c, "start-"+newID(t).String(), state, jobs...))
	require.NoError(t, err)
	entries, err := b.courses.Entries(t.Context(), b.caller, c.ID)
	require.NoError(t, err)
	return entries
}

func (b *bundle) events(t *testing.T, c domain.Course) []domain.Event {
	t.Helper()
	events, err := b.courses.Events(t.Context(), b.caller, c.ID, 0, 1000)
	require.NoError(t, err)
	for i, e := range events {
		require.Equal(t, int64(i+1), e.No, "event_no has no gap")
	}
	return events
}

func (b *bundle) eventTypes(t *testing.T, c domain.Course) []domain.EventType {
	t.Helper()
	var types []domain.EventType
	for _, e := range b.events(t, c) {
		types = append(types, e.Type)
	}
	return types
}

func (b *bundle) reload(t *testing.T, c domain.Course) domain.Course {
	t.Helper()
	c, err := b.courses.Get(t.Context(), b.caller, c.ID)
	require.NoError(t, err)
	return c
}

// rows counts all rows of the tables that a command may write.
func (b *bundle) rows(t *testing.T) map[string]int {
	t.Helper()
	conn := connect(t, b.db.Superuser)
	counts := map[string]int{}
	for _, table := range []string{"courses", "job_outbox", "idempotency_keys", "fsm_events", "processed_jobs"} {
		var n int
		require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from lectern."+table).Scan(&n))
		counts[table] = n
	}
	return counts
}
