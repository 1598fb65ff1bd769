package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/app"
	"lectern/configs"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/migrations"
	"lectern/ports"
)

// patience is how long a test waits for what must come.
const patience = 3 * time.Minute

// site is a service on a database of its own, of which the test chose the
// parts that run.
type site struct {
	uploads *app.CourseService
	broker  ports.Broker
	stats   *app.DefenceStats
	owner   domain.Identity
	config  configs.Config
	at      *stack.DB
	admin   *pgxpool.Pool // the superuser's, to look at what no role may see
}

// newSite starts a service on a broker, with what the test chose.
func newSite(t *testing.T, broker configs.Broker, chosen ...fx.Option) *site {
	t.Helper()
	return newSiteWith(t, slog.New(slog.DiscardHandler), func(c *configs.Config) { c.Broker = broker }, chosen...)
}

// newSiteWith starts one with the config that the test changed.
func newSiteWith(t *testing.T, log *slog.Logger, change func(*configs.Config), chosen ...fx.Option) *site {
	t.Helper()
	s := &site{owner: domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}, at: stack.Database(t, brokerSchema)}
	require.NoError(t, withMigrator(t.Context(), s.at.Owner, migrations.DefaultRolePrefix, func(m *migrations.Migrator) error {
		_, err := m.Up(t.Context())
		return err
	}))
	c := configs.Default()
	c.Listen, c.DataDir = "127.0.0.1:0", t.TempDir()
	c.Postgres.Embedded, c.Postgres.MaxConns = false, 4
	c.Postgres.AppDSN, c.Postgres.WorkerDSN, c.Postgres.RelayDSN = s.at.App, s.at.Worker, s.at.Relay
	change(&c)
	if c.Broker.Kind == "postgres" {
		c.Broker.Options["dsn"] = s.at.Broker
	}
	s.config = c
	db, err := openDatabase(t.Context(), c, log, nil)
	require.NoError(t, err)
	ctx, fail := context.WithCancelCause(t.Context())
	parts, err := provide(c, log, db, newParts(fail))
	require.NoError(t, err)
	running := fx.New(parts, fx.Options(chosen...), fx.Populate(&s.broker, &s.uploads, &s.stats))
	require.NoError(t, running.Start(t.Context()))
	s.admin, err = pgxpool.New(t.Context(), s.at.Superuser)
	require.NoError(t, err)
	t.Cleanup(s.admin.Close)
	t.Cleanup(func() {
		stopping, cancel := context.WithTimeout(context.Background(), c.ShutdownTimeout)
		defer cancel()
		require.NoError(t, running.Stop(stopping))
		require.NoError(t, db.close(stopping))
	})
	t.Cleanup(func() {
		if ctx.Err() != nil {
			require.ErrorIs(t, context.Cause(ctx), context.Canceled, "a part ended by itself")
		}
	})
	return s
}

// onPostgres is a broker whose messages can be counted; inMemory one that an
// outage of the database leaves alone.
func onPostgres() configs.Broker {
	return configs.Broker{Kind: "postgres", Options: map[string]any{"retry_delay": "10ms"}}
}

func inMemory() configs.Broker {
	return configs.Broker{Kind: "memory", Options: map[string]any{"retry_delay": "10ms", "retry_delay_max": "100ms"}}
}

// query reads one value as the superuser.
func query[T any](t *testing.T, s *site, sql string, args ...any) T {
	t.Helper()
	rows, err := s.admin.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return value
}

// course makes a pending course; a document is uploaded to one that is to begin
// with documents.
func (s *site) course(t *testing.T, queue domain.Queue, pipeline domain.Pipeline) (domain.Course, domain.JobData) {
	t.Helper()
	c, err := s.uploads.Create(t.Context(), s.owner, app.CreateRequest{Title: "Keeping bees", Settings: domain.Settings{Pipeline: pipeline}})
	require.NoError(t, err)
	data := domain.JobData{CourseID: c.ID}
	if queue == domain.QueueDocumentProcessing || queue == domain.QueueSummarization {
		doc, err := s.uploads.UploadDocument(t.Context(), s.owner, c.ID, "bees.txt", []byte("Bees live in hives. A hive holds one queen."))
		require.NoError(t, err)
		data.DocumentID = &doc.ID
	}
	return c, data
}

// stray makes a job that no command made, of a run, or of none (0).
func stray(t *testing.T, data domain.JobData, run int) *message.Message {
	t.Helper()
	payload, err := json.Marshal(data)
	require.NoError(t, err)
	msg := message.NewMessage(uuid.NewString(), payload)
	msg.Metadata.Set(ports.MetaSubject, data.CourseID.String())
	if run > 0 {
		msg.Metadata.Set(ports.MetaRun, strconv.Itoa(run))
	}
	return msg
}

func (s *site) publish(t *testing.T, queue domain.Queue, msgs ...*message.Message) {
	t.Helper()
	require.NoError(t, s.broker.Publish(string(queue), msgs...))
}

func (s *site) state(t *testing.T, c domain.Course) domain.State {
	t.Helper()
	c, _, err := s.uploads.Get(t.Context(), s.owner, c.ID)
	require.NoError(t, err)
	return c.State
}

// completes waits for a course's end, which must be the good one.
func (s *site) completes(t *testing.T, c domain.Course) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ignore := func(domain.Event) error { return nil }
	require.NoError(t, s.uploads.Watch(ctx, s.owner, c.ID, 0, ignore))
	require.Equal(t, domain.StateCompleted, s.state(t, c))
}

// settled waits until the broker, on Postgres, has no message left of the
// groups: they have seen all, and nothing is being retried.
func (s *site) settled(t *testing.T, groups ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return query[int](t, s, `select count(*)::int from `+brokerSchema+`.messages where group_name = any($1)`, groups) == 0
	}, patience, 10*time.Millisecond, "the broker still has messages")
}

// initialized returns who gave a course's commands, and checks its history.
func (s *site) initialized(t *testing.T, c domain.Course) []domain.Actor {
	t.Helper()
	events, err := s.uploads.Events(t.Context(), s.owner, c.ID, 0, 1000)
	require.NoError(t, err)
	var actors []domain.Actor
	for i, e := range events {
		require.Equal(t, int64(i+1), e.No, "event_no has no gap")
		if e.Type == domain.EventFSMInitialized {
			require.Equal(t, s.owner.UserID, *e.UserID)
			actors = append(actors, e.CreatedBy)
		}
	}
	return actors
}

// inbox counts the workers' inbox rows by outcome.
func (s *site) inbox(t *testing.T) map[string]int {
	t.Helper()
	return query[map[string]int](t, s, `select coalesce(jsonb_object_agg(outcome, n), '{}')
		from (select outcome, count(*) as n from lectern.processed_jobs group by outcome) t`)
}

// counted returns the counters that are not zero.
func (s *site) counted() map[app.DefenceCount]int64 {
	counts := s.stats.Snapshot()
	maps.DeleteFunc(counts, func(_ app.DefenceCount, n int64) bool { return n == 0 })
	return counts
}

func (s *site) restart(t *testing.T, c domain.Course) {
	t.Helper()
	for _, end := range []func(context.Context) (domain.FSMState, error){
		func(ctx context.Context) (domain.FSMState, error) {
			return s.uploads.Cancel(ctx, s.owner, c.ID, uuid.NewString(), "")
		},
		func(ctx context.Context) (domain.FSMState, error) {
			return s.uploads.Restart(ctx, s.owner, c.ID, uuid.NewString())
		},
	} {
		_, err := end(t.Context())
		require.NoError(t, err)
	}
}
