package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/adapters/postgres"
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

func TestLayer2InitializesAPendingCourseForAJobPastTheAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup))
	for queue, state := range map[domain.Queue]domain.State{
		domain.QueueDocumentProcessing:  domain.StateStage2Init,
		domain.QueueStructureAnalysis:   domain.StateStage4Init,
		domain.QueueStructureGeneration: domain.StateStage5Init,
	} {
		t.Run(string(queue), func(t *testing.T) {
			c, data := s.course(t, queue, "")
			s.publish(t, queue, stray(t, data, 0))
			s.settled(t, ports.GroupBackup)
			require.Equal(t, state, s.state(t, c))
			require.Equal(t, []domain.Actor{domain.ActorQueue}, s.initialized(t, c))
			entries, err := s.uploads.Entries(t.Context(), s.owner, c.ID)
			require.NoError(t, err)
			require.Empty(t, entries, "a job of its own would be done twice")
			require.EqualValues(t, 1, s.counted()[app.DefenceCount{Layer: app.Layer2, Queue: queue, Outcome: app.DefenceInitialized}])
		})
	}
	t.Run("summarization has no way there", func(t *testing.T) {
		c, data := s.course(t, domain.QueueSummarization, "")
		s.publish(t, domain.QueueSummarization, stray(t, data, 0))
		s.settled(t, ports.GroupBackup)
		require.Equal(t, domain.StatePending, s.state(t, c))
		require.Empty(t, s.initialized(t, c))
		require.EqualValues(t, 1, s.counted()[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueSummarization, Outcome: app.DefenceSkipped}])
	})
}

// What only the group of layer 2 sees, the workers can't have done.
func TestTheServiceRunsLayer2(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker))
	c, data := s.course(t, domain.QueueStructureAnalysis, "")
	msg := stray(t, data, 0)
	query[int64](t, s, `insert into `+brokerSchema+`.messages (topic, group_name, uuid, payload, metadata)
		values ('structure-analysis', 'backup', $1, $2, '{}') returning seq`, msg.UUID, []byte(msg.Payload))
	err := withService(t.Context(), s.config, slog.New(slog.DiscardHandler), nil, func(context.Context, string) error {
		s.settled(t, ports.GroupBackup) //nolint:contextcheck // it waits with the test's context, as everywhere
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []domain.Actor{domain.ActorQueue}, s.initialized(t, c))
}

// The second delivery comes when the course is pending again: only the key
// tells that this job has had its command.
func TestRedeliveredJobOfLayer2HasNoSecondEffect(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup))
	c, data := s.course(t, domain.QueueStructureAnalysis, "")
	msg := stray(t, data, 0)
	s.publish(t, domain.QueueStructureAnalysis, msg, msg)
	s.settled(t, ports.GroupBackup)
	s.restart(t, c)
	s.publish(t, domain.QueueStructureAnalysis, msg)
	s.settled(t, ports.GroupBackup)
	require.Equal(t, domain.StatePending, s.state(t, c))
	require.Equal(t, []domain.Actor{domain.ActorQueue}, s.initialized(t, c))
	counted := s.counted()
	require.EqualValues(t, 1, counted[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceInitialized}])
	require.GreaterOrEqual(t, counted[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceSkipped}], int64(1))
	require.Zero(t, counted[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceFailed}])
}

func TestLayer3InitializesTheCourseAndTheWorkIsDone(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runWorkers))
	for queue, done := range map[domain.Queue]domain.State{
		domain.QueueDocumentProcessing:  domain.StateStage2Complete,
		domain.QueueStructureAnalysis:   domain.StateStage4Complete,
		domain.QueueStructureGeneration: domain.StateCompleted,
	} {
		t.Run(string(queue), func(t *testing.T) {
			c, data := s.course(t, queue, domain.PipelineManual)
			s.publish(t, queue, stray(t, data, 0))
			s.settled(t, ports.GroupWorkers)
			require.Equal(t, done, s.state(t, c))
			require.Equal(t, []domain.Actor{domain.ActorWorker}, s.initialized(t, c))
			require.EqualValues(t, 1, s.counted()[app.DefenceCount{Layer: app.Layer3, Queue: queue, Outcome: app.DefenceInitialized}])
		})
	}
	t.Run("summarization after stage 2", func(t *testing.T) {
		c, data := s.course(t, domain.QueueSummarization, domain.PipelineManual)
		s.publish(t, domain.QueueDocumentProcessing, stray(t, data, 0))
		s.settled(t, ports.GroupWorkers)
		s.publish(t, domain.QueueSummarization, stray(t, data, 0))
		s.settled(t, ports.GroupWorkers)
		require.Equal(t, domain.StateStage3Complete, s.state(t, c))
		require.Equal(t, []domain.Actor{domain.ActorWorker, domain.ActorWorker}, s.initialized(t, c))
		require.EqualValues(t, 1, s.counted()[app.DefenceCount{Layer: app.Layer3, Queue: domain.QueueSummarization, Outcome: app.DefenceInitialized}])
	})
	require.Equal(t, map[string]int{"completed": 5}, s.inbox(t))
}

func TestJobsThatNoCourseTakesAreSkippedByBothLayers(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup, runWorkers))
	groups := []string{ports.GroupBackup, ports.GroupWorkers}
	skipped := func(layer app.Layer, queue domain.Queue) int64 {
		return s.counted()[app.DefenceCount{Layer: layer, Queue: queue, Outcome: app.DefenceSkipped}]
	}
	completed, data := s.course(t, "", "")
	s.publish(t, domain.QueueStructureGeneration, stray(t, data, 0))
	s.settled(t, groups...)
	require.Equal(t, domain.StateCompleted, s.state(t, completed))
	pending, pendingData := s.course(t, "", "")

	for _, queue := range domain.Queues() {
		t.Run("deleted course "+string(queue), func(t *testing.T) {
			deleted, data := s.course(t, queue, "")
			query[uuid.UUID](t, s, `delete from lectern.courses where id = $1 returning id`, deleted.ID)
			before2, before3, inbox := skipped(app.Layer2, queue), skipped(app.Layer3, queue), s.inbox(t)
			s.publish(t, queue, stray(t, data, 0), stray(t, data, 1))
			s.settled(t, groups...)
			require.Equal(t, before2+2, skipped(app.Layer2, queue))
			require.Equal(t, before3+2, skipped(app.Layer3, queue))
			require.Equal(t, inbox, s.inbox(t), "the inbox goes with its course")
		})
		t.Run("completed course "+string(queue), func(t *testing.T) {
			inbox, initialized := s.inbox(t), s.initialized(t, completed)
			before2, before3 := skipped(app.Layer2, queue), skipped(app.Layer3, queue)
			s.publish(t, queue, stray(t, data, 0), stray(t, data, 1))
			s.settled(t, groups...)
			require.Equal(t, domain.StateCompleted, s.state(t, completed))
			require.Equal(t, initialized, s.initialized(t, completed))
			require.Equal(t, inbox["skipped"]+2, s.inbox(t)["skipped"])
			require.Equal(t, before2, skipped(app.Layer2, queue), "layer 2 looks at pending courses alone")
			if queue != domain.QueueDocumentProcessing { // whose layer 3 looks at pending courses alone
				require.Equal(t, before3+2, skipped(app.Layer3, queue))
			}
		})
	}
	t.Run("summarization on a pending course", func(t *testing.T) {
		before2, before3, inbox := skipped(app.Layer2, domain.QueueSummarization), skipped(app.Layer3, domain.QueueSummarization), s.inbox(t)
		s.publish(t, domain.QueueSummarization, stray(t, pendingData, 0))
		s.settled(t, groups...)
		require.Equal(t, domain.StatePending, s.state(t, pending))
		require.Equal(t, before2+1, skipped(app.Layer2, domain.QueueSummarization))
		require.Equal(t, before3+1, skipped(app.Layer3, domain.QueueSummarization))
		require.Equal(t, inbox["skipped"]+1, s.inbox(t)["skipped"])
	})
	for count, n := range s.counted() {
		require.NotEqual(t, app.DefenceFailed, count.Outcome, n)
	}
}

func TestJobOfAnOlderRunMovesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup, runWorkers))
	for _, queue := range domain.Queues() {
		c, data := s.course(t, queue, "")
		s.restart(t, c)
		s.publish(t, queue, stray(t, data, 1))
		s.settled(t, ports.GroupBackup, ports.GroupWorkers)
		require.Equal(t, domain.StatePending, s.state(t, c))
		require.Empty(t, s.initialized(t, c))
	}
	require.Equal(t, map[string]int{"stale": 4}, s.inbox(t))
	require.Empty(t, s.counted())
}

// Twenty strays a course, some of them twice: whichever layer sees whichever
// first, each course is started once, and none of the others does it harm.
func TestAThousandStraysAtOnceStartEachCourseOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup, runWorkers))
	ends := map[domain.Queue]domain.State{
		domain.QueueDocumentProcessing:  domain.StateStage2Complete,
		domain.QueueStructureAnalysis:   domain.StateStage4Complete,
		domain.QueueStructureGeneration: domain.StateCompleted,
	}
	courses := map[domain.Queue][]domain.Course{}
	strays := map[domain.Queue][]*message.Message{}
	for queue := range ends {
		for range 17 {
			c, data := s.course(t, queue, domain.PipelineManual)
			courses[queue] = append(courses[queue], c)
			for range 5 {
				twice := stray(t, data, 0)
				strays[queue] = append(strays[queue], twice, stray(t, data, 1), stray(t, data, 0), twice)
			}
		}
	}
	for queue, msgs := range strays {
		s.publish(t, queue, msgs...)
	}
	s.settled(t, ports.GroupBackup, ports.GroupWorkers)

	for queue, end := range ends {
		for _, c := range courses[queue] {
			require.Equal(t, end, s.state(t, c))
			require.Len(t, s.initialized(t, c), 1)
		}
		counted := s.counted()
		by2 := counted[app.DefenceCount{Layer: app.Layer2, Queue: queue, Outcome: app.DefenceInitialized}]
		by3 := counted[app.DefenceCount{Layer: app.Layer3, Queue: queue, Outcome: app.DefenceInitialized}]
		require.EqualValues(t, len(courses[queue]), by2+by3)
	}
	for count, n := range s.counted() {
		require.NotEqual(t, app.DefenceFailed, count.Outcome, n)
	}
	inbox := s.inbox(t)
	require.Equal(t, 3*17*15, inbox["completed"]+inbox["skipped"], "each job is in the inbox once")
	require.Len(t, inbox, 2)
}

// The commands of the layers find no server, all else does: the guarded
// transition of the work decides.
func TestCheckThatFindsNoDatabaseLeavesTheJobToItsOwnGuard(t *testing.T) {
	t.Parallel()
	nowhere, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/nothing")
	require.NoError(t, err)
	t.Cleanup(nowhere.Close)
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup, runWorkers),
		fx.Decorate(func(signals app.Signals, stats *app.DefenceStats, log *slog.Logger) *app.Defence {
			return app.NewDefence(postgres.NewCommands(nowhere), signals, stats, log)
		}))
	c, data := s.course(t, domain.QueueStructureAnalysis, "")
	s.publish(t, domain.QueueStructureAnalysis, stray(t, data, 0))
	s.settled(t, ports.GroupBackup, ports.GroupWorkers)
	require.Equal(t, domain.StatePending, s.state(t, c))
	require.Equal(t, map[string]int{"skipped": 1}, s.inbox(t))
	require.Equal(t, map[app.DefenceCount]int64{
		{Layer: app.Layer2, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceFailed}: 1,
		{Layer: app.Layer3, Queue: domain.QueueStructureAnalysis, Outcome: app.DefenceFailed}: 1,
	}, s.counted())
}

func TestDatabaseOutageDuringTheChecksLosesNoJob(t *testing.T) {
	t.Parallel()
	s := newSite(t, inMemory(), fx.Invoke(prepareBroker, runBackup, runWorkers))
	c, data := s.course(t, domain.QueueStructureGeneration, "")
	server, err := pgx.Connect(t.Context(), os.Getenv(stack.PostgresVariable)) // a database can't be closed from within
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close(context.WithoutCancel(t.Context()))) }()
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := server.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	exec(`alter database ` + s.at.Name + ` with allow_connections false`)
	exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = $2`, s.at.Name, stack.WorkerRole)

	s.publish(t, domain.QueueStructureGeneration, stray(t, data, 0))
	require.Eventually(t, func() bool {
		return s.counted()[app.DefenceCount{Layer: app.Layer2, Queue: domain.QueueStructureGeneration, Outcome: app.DefenceFailed}] == 1
	}, patience, 10*time.Millisecond)
	exec(`alter database ` + s.at.Name + ` with allow_connections true`)

	s.completes(t, c)
	require.Equal(t, []domain.Actor{domain.ActorWorker}, s.initialized(t, c))
}
