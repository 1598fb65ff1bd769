package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/configs"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/ports"
)

// TestTransactionalOutbox is the acceptance of the outbox: twenty tests, each on
// a service of its own with a real Postgres and a real Redis. What a call
// committed is read back at once, without waiting, through a second connection
// as the application's role, by the functions that this role has for it.
func TestTransactionalOutbox(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"01 state and entries together", stateAndEntriesTogether},
		{"02 three jobs on two queues in one commit", threeJobsOnTwoQueues},
		{"03 rollback leaves nothing", rollbackLeavesNothing},
		{"04 duplicate returns the stored result", duplicateReturnsTheStoredResult},
		{"05 different keys are independent", differentKeysAreIndependent},
		{"06 100 concurrent with one key", hundredConcurrentWithOneKey},
		{"07 Redis answers the second", redisAnswersTheSecond},
		{"08 different keys make separate entities", differentKeysMakeSeparateEntities},
		{"09 pending entries are processed", pendingEntriesAreProcessed},
		{"10 attempts are tracked", attemptsAreTracked},
		{"11 layer 1", layer1},
		{"12 layer 2", layer2},
		{"13 layer 3", layer3},
		{"14 Redis down", redisDown},
		{"15 database timeout", databaseTimeout},
		{"16 missing fields", missingFields},
		{"17 duplicate outbox_id", duplicateOutboxID},
		{"18 referential", referential},
		{"19 job_data is valid jsonb", jobDataIsValidJSONB},
		{"20 event timestamps", eventTimestamps},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t)
		})
	}
}

// outboxSite is a service whose answers are cached in Redis.
func outboxSite(t *testing.T, chosen ...fx.Option) *site {
	t.Helper()
	return newSiteWith(t, slog.New(slog.DiscardHandler), func(c *configs.Config) {
		c.Broker = onPostgres()
		c.Cache = configs.Cache{Kind: "redis", Options: map[string]any{"url": stack.Redis(t), "timeout": "1s"}}
	}, chosen...)
}

// request asks for stage 4 with as many jobs as there are data.
func request(c domain.Course, key string, data ...string) app.InitializeRequest {
	r := app.InitializeRequest{CourseID: c.ID, Key: key, State: domain.StateStage4Init}
	for _, d := range data {
		r.Jobs = append(r.Jobs, app.JobRequest{Queue: domain.QueueStructureAnalysis, Data: json.RawMessage(d)})
	}
	return r
}

func (s *site) newCourse(t *testing.T) domain.Course {
	t.Helper()
	c, _ := s.course(t, "", "")
	return c
}

func (s *site) must(t *testing.T, r app.InitializeRequest) domain.InitializeFSMResult {
	t.Helper()
	result, err := s.uploads.InitializeFSM(t.Context(), s.owner, r)
	require.NoError(t, err)
	return result
}

// committed is what a course has, as the application's role sees it.
type committed struct {
	State   domain.State
	Version int64
	Entries []committedEntry
	Events  []committedEvent
}

type committedEntry struct {
	ID          uuid.UUID
	Queue       domain.Queue
	Data        json.RawMessage
	CreatedAt   time.Time
	ProcessedAt *time.Time
	Attempts    int
	LastError   *string
}

type committedEvent struct {
	No        int64
	Type      domain.EventType
	Data      domain.EventData
	CreatedAt time.Time
	CreatedBy domain.Actor
}

func (s *site) readBack(t *testing.T, course uuid.UUID) committed {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.at.App)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	var got committed
	require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `select set_config('lectern.organization_id', $1, true)`, s.owner.OrganizationID.String())
		require.NoError(t, err)
		require.NoError(t, tx.QueryRow(t.Context(), `select generation_status, status_version from lectern.courses where id = $1`, course).
			Scan(&got.State, &got.Version))
		rows, err := tx.Query(t.Context(), `select outbox_id, queue_name, job_data, created_at, processed_at, attempts, last_error
			from lectern.outbox_entries($1)`, course)
		require.NoError(t, err)
		got.Entries, err = pgx.CollectRows(rows, pgx.RowToStructByPos[committedEntry])
		require.NoError(t, err)
		rows, err = tx.Query(t.Context(), `select event_no, event_type, event_data, created_at, created_by
			from lectern.course_events($1, 0)`, course)
		require.NoError(t, err)
		got.Events, err = pgx.CollectRows(rows, pgx.RowToStructByPos[committedEvent])
		require.NoError(t, err)
		return nil
	}))
	return got
}

// rows counts the five tables whole.
func (s *site) rows(t *testing.T) map[string]int {
	t.Helper()
	return query[map[string]int](t, s, `select jsonb_build_object(
		'courses', (select count(*) from lectern.courses),
		'job_outbox', (select count(*) from lectern.job_outbox),
		'idempotency_keys', (select count(*) from lectern.idempotency_keys),
		'fsm_events', (select count(*) from lectern.fsm_events),
		'processed_jobs', (select count(*) from lectern.processed_jobs))`)
}

func (s *site) redis(t *testing.T) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(s.config.Cache.Options["url"].(string))
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func requireReplay(t *testing.T, first, again domain.InitializeFSMResult) {
	t.Helper()
	require.True(t, again.FromCache)
	again.FromCache, again.KeptFor = first.FromCache, first.KeptFor
	require.EqualExportedValues(t, first, again)
}

func requireReason(t *testing.T, reason domain.Reason, err error) {
	t.Helper()
	require.Equal(t, reason, domain.ReasonOf(err), "%v", err)
}

func requireSQLState(t *testing.T, code string, err error) {
	t.Helper()
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, code, pg.Code, pg.Message)
}

func stateAndEntriesTogether(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	result := s.must(t, request(c, "key-number-1", `{"note": "x"}`))
	require.False(t, result.FromCache)

	got := s.readBack(t, c.ID)
	require.Equal(t, domain.StateStage4Init, got.State)
	require.Equal(t, int64(1), got.Version)
	require.Equal(t, result.FSMState.Version, got.Version)
	require.Len(t, got.Entries, 1)
	require.Equal(t, result.OutboxEntries[0].ID, got.Entries[0].ID)
	require.Nil(t, got.Entries[0].ProcessedAt)
	require.Len(t, got.Events, 2)
	require.Equal(t, domain.EventFSMInitialized, got.Events[0].Type)
	require.Equal(t, domain.StatePending, got.Events[0].Data.From)
	require.Equal(t, domain.StateStage4Init, got.Events[0].Data.To)
	require.Equal(t, domain.ActorAPI, got.Events[0].CreatedBy)
	require.Equal(t, domain.EventJobCreated, got.Events[1].Type)
	require.Equal(t, got.Entries[0].ID, *got.Events[1].Data.OutboxID)
	require.Equal(t, map[string]int{"courses": 1, "job_outbox": 1, "idempotency_keys": 1, "fsm_events": 2, "processed_jobs": 0}, s.rows(t))
}

func threeJobsOnTwoQueues(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	queues := []domain.Queue{domain.QueueDocumentProcessing, domain.QueueSummarization, domain.QueueDocumentProcessing}
	r := app.InitializeRequest{CourseID: c.ID, Key: "key-number-1", State: domain.StateStage2Init}
	for i, queue := range queues {
		r.Jobs = append(r.Jobs, app.JobRequest{Queue: queue, Data: json.RawMessage(fmt.Sprintf(`{"n": %d}`, i))})
	}
	result := s.must(t, r)

	got := s.readBack(t, c.ID)
	require.Len(t, got.Entries, 3)
	for i, e := range got.Entries {
		require.Equal(t, result.OutboxEntries[i].ID, e.ID, "in the order of the call")
		require.Equal(t, queues[i], e.Queue)
		require.JSONEq(t, fmt.Sprintf(`{"n": %d}`, i), string(e.Data))
	}
	require.Len(t, got.Events, 4)
	require.Equal(t, 1, query[int](t, s, `select count(distinct xmin::text)::int from (
		select xmin from lectern.courses union all select xmin from lectern.job_outbox union all
		select xmin from lectern.fsm_events union all select xmin from lectern.idempotency_keys) as written`), "one transaction wrote all")
}

func rollbackLeavesNothing(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	before := s.rows(t)
	conn, err := pgx.Connect(t.Context(), s.at.App)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	given := func(job string) error {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
		_, err = tx.Exec(t.Context(), `select lectern.initialize_fsm_with_outbox($1, $2, $3, 'key-number-1', 'TEST', 'stage_4_init', $4, null, repeat('0', 64))`,
			c.ID, s.owner.UserID, s.owner.OrganizationID, json.RawMessage(job))
		return err
	}
	id := uuid.NewString()
	require.NoError(t, given(`[{"outbox_id": "`+id+`", "queue": "summarization", "data": {}}]`), "rolled back by the caller")
	require.Equal(t, before, s.rows(t))
	requireSQLState(t, "23505", given(`[{"outbox_id": "`+id+`", "queue": "summarization", "data": {}},
		{"outbox_id": "`+id+`", "queue": "summarization", "data": {}}]`))
	require.Equal(t, before, s.rows(t))
	require.Equal(t, domain.StatePending, s.readBack(t, c.ID).State)
	require.False(t, s.must(t, request(c, "key-number-1")).FromCache, "the key is free")
}

func duplicateReturnsTheStoredResult(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	r := request(c, "key-number-1", `{"a": 1}`, `{"a": 2}`)
	first := s.must(t, r)
	before := s.rows(t)
	requireReplay(t, first, s.must(t, r))
	require.NoError(t, s.redis(t).FlushDB(t.Context()).Err())
	requireReplay(t, first, s.must(t, r)) // of the database

	r.Jobs = r.Jobs[:1]
	_, err := s.uploads.InitializeFSM(t.Context(), s.owner, r)
	requireReason(t, domain.ReasonIdempotencyReuse, err) // of the cache
	require.NoError(t, s.redis(t).FlushDB(t.Context()).Err())
	_, err = s.uploads.InitializeFSM(t.Context(), s.owner, r)
	requireReason(t, domain.ReasonIdempotencyReuse, err)
	require.Equal(t, before, s.rows(t))
}

func differentKeysAreIndependent(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	s.must(t, request(c, "key-number-1", `{}`))
	before := s.rows(t)
	_, err := s.uploads.InitializeFSM(t.Context(), s.owner, request(c, "key-number-2", `{}`))
	requireReason(t, domain.ReasonIllegalTransition, err) // judged by itself, and its key is not used up
	require.Equal(t, before, s.rows(t))

	s.restart(t, c)
	second := s.must(t, request(c, "key-number-2", `{}`))
	require.False(t, second.FromCache)
	require.Equal(t, int64(4), second.FSMState.Version)
	require.Len(t, s.readBack(t, c.ID).Entries, 2)

	// Keys are the organization's own.
	other := *s
	other.owner = domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	require.False(t, other.must(t, request(other.newCourse(t), "key-number-1", `{}`)).FromCache)
}

func hundredConcurrentWithOneKey(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	results := make([]domain.InitializeFSMResult, 100)
	errs := make([]error, len(results))
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			results[i], errs[i] = s.uploads.InitializeFSM(t.Context(), s.owner, request(c, "key-number-1", `{"a": 1}`))
		})
	}
	wg.Wait()
	fresh := 0
	for i, r := range results {
		require.NoError(t, errs[i])
		if !r.FromCache {
			fresh++
		}
		r.FromCache, r.KeptFor = results[0].FromCache, results[0].KeptFor
		require.EqualExportedValues(t, results[0], r)
	}
	require.Equal(t, 1, fresh)
	require.Equal(t, map[string]int{"courses": 1, "job_outbox": 1, "idempotency_keys": 1, "fsm_events": 2, "processed_jobs": 0}, s.rows(t))
	require.Equal(t, results[0].OutboxEntries[0].ID, s.readBack(t, c.ID).Entries[0].ID)
}

// The row is gone, so the answer can be Redis's alone.
func redisAnswersTheSecond(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	first := s.must(t, request(c, "key-number-1", `{}`))
	query[string](t, s, `delete from lectern.idempotency_keys returning key::text`)
	requireReplay(t, first, s.must(t, request(c, "key-number-1", `{}`)))
	_, err := s.uploads.InitializeFSM(t.Context(), s.owner, request(c, "key-number-1", `{"another": "request"}`))
	requireReason(t, domain.ReasonIdempotencyReuse, err)

	keys, err := s.redis(t).Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	ttl, err := s.redis(t).TTL(t.Context(), keys[0]).Result()
	require.NoError(t, err)
	require.LessOrEqual(t, ttl, domain.IdempotencyTTL)
	require.Greater(t, ttl, domain.IdempotencyTTL-time.Hour)
}

func differentKeysMakeSeparateEntities(t *testing.T) {
	s := outboxSite(t)
	create := func(key string) uuid.UUID {
		c, err := s.uploads.Create(t.Context(), s.owner, app.CreateRequest{Title: "Keeping bees", Key: key})
		require.NoError(t, err)
		return c.ID
	}
	first := create("create-it-1")
	require.Equal(t, first, create("create-it-1"))
	second := create("create-it-2")
	require.NotEqual(t, first, second)
	for i, id := range []uuid.UUID{first, second} {
		s.must(t, request(domain.Course{ID: id}, fmt.Sprintf("key-number-%d", i), `{}`))
	}
	require.NotEqual(t, s.readBack(t, first).Entries[0].ID, s.readBack(t, second).Entries[0].ID)
	require.Equal(t, map[string]int{"courses": 2, "job_outbox": 2, "idempotency_keys": 4, "fsm_events": 4, "processed_jobs": 0}, s.rows(t))
}

// relayed waits until none of a course's entries is pending.
func (s *site) relayed(t *testing.T, c domain.Course) []committedEntry {
	t.Helper()
	var got []committedEntry
	require.Eventually(t, func() bool {
		got = s.readBack(t, c.ID).Entries
		for _, e := range got {
			if e.ProcessedAt == nil {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond, "entries are still pending")
	return got
}

func pendingEntriesAreProcessed(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runRelay))
	c := s.newCourse(t)
	result := s.must(t, request(c, "key-number-1", `{"n": 1}`, `{"n": 2}`, `{"n": 3}`))
	for i, e := range s.relayed(t, c) {
		require.Equal(t, result.OutboxEntries[i].ID, e.ID)
		require.Zero(t, e.Attempts)
		require.Equal(t, 1, query[int](t, s, `select count(*)::int from `+brokerSchema+`.messages
			where group_name = 'workers' and topic = 'structure-analysis' and uuid = $1`, e.ID.String()))
	}
	require.Zero(t, query[int](t, s, `select count(*)::int from lectern.job_outbox where processed_at is null`))
}

// flaky fails the first publishes as a broker does that is there but busy.
type flaky struct {
	ports.Broker
	mu    sync.Mutex
	fails int
}

func (b *flaky) Publish(topic string, msgs ...*message.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails > 0 {
		b.fails--
		return ports.NewPublishError(ports.Retryable, errors.New("the queue is busy"), msgs...)
	}
	return b.Broker.Publish(topic, msgs...)
}

func attemptsAreTracked(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runRelay),
		fx.Decorate(func(b ports.Broker) ports.Broker { return &flaky{Broker: b, fails: 2} }),
		fx.Decorate(func(b app.Backoff) app.Backoff { b.Base = 10 * time.Millisecond; return b }))
	c := s.newCourse(t)
	s.must(t, request(c, "key-number-1", `{}`))
	got := s.relayed(t, c)
	require.Equal(t, 2, got[0].Attempts, "failed publishes")
	require.Contains(t, *got[0].LastError, "the queue is busy")
}

// The API's own command is what starts a course; the other layers then find
// nothing to do.
func layer1(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runBackup, runWorkers, runRelay))
	c := s.newCourse(t)
	_, err := s.uploads.InitiateGeneration(t.Context(), s.owner, c.ID, "key-number-1")
	require.NoError(t, err)
	require.Equal(t, domain.ActorAPI, s.readBack(t, c.ID).Events[0].CreatedBy)
	s.completes(t, c)
	s.settled(t, ports.GroupBackup, ports.GroupWorkers)
	require.Equal(t, []domain.Actor{domain.ActorAPI}, s.initialized(t, c))
	require.Empty(t, s.counted())
}

// A job reaches the broker past the API: the listener starts its course.
func layer2(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runBackup))
	c, data := s.course(t, domain.QueueStructureAnalysis, "")
	s.publish(t, domain.QueueStructureAnalysis, stray(t, data, 0))
	s.settled(t, ports.GroupBackup)
	got := s.readBack(t, c.ID)
	require.Equal(t, domain.StateStage4Init, got.State)
	require.Empty(t, got.Entries)
	require.Len(t, got.Events, 1)
	require.Equal(t, domain.ActorQueue, got.Events[0].CreatedBy)
}

// The listener is not there either: the worker starts the course, and works.
func layer3(t *testing.T) {
	s := outboxSite(t, fx.Invoke(prepareBroker, runWorkers))
	c, data := s.course(t, domain.QueueStructureAnalysis, domain.PipelineManual)
	s.publish(t, domain.QueueStructureAnalysis, stray(t, data, 0))
	s.settled(t, ports.GroupWorkers)
	got := s.readBack(t, c.ID)
	require.Equal(t, domain.StateStage4Complete, got.State)
	require.Equal(t, domain.EventFSMInitialized, got.Events[0].Type)
	require.Equal(t, domain.ActorWorker, got.Events[0].CreatedBy)
}

// logLines collects a log's lines.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) count(level slog.Level, text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, "level="+level.String()) && strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func redisDown(t *testing.T) {
	server := stack.StartRedis(t)
	var log logLines
	s := newSiteWith(t, slog.New(slog.NewTextHandler(&log, nil)), func(c *configs.Config) {
		c.Broker = onPostgres()
		c.Cache = configs.Cache{Kind: "redis", Options: map[string]any{"url": server.Address()}}
	})
	first := s.newCourse(t)
	want := s.must(t, request(first, "key-number-1", `{}`))
	server.Stop()

	requireReplay(t, want, s.must(t, request(first, "key-number-1", `{}`))) // of the database
	for i := range 20 {
		c := s.newCourse(t)
		require.False(t, s.must(t, request(c, fmt.Sprintf("while-down-%d", i), `{}`)).FromCache)
		require.Len(t, s.readBack(t, c.ID).Entries, 1)
	}
	require.Equal(t, 1, log.count(slog.LevelWarn, "Cache not reached"), "one warning an outage")

	server.Start()
	require.Eventually(t, func() bool {
		s.must(t, request(first, "key-number-1", `{}`))
		return log.count(slog.LevelInfo, "Cache reached again") == 1
	}, patience, 50*time.Millisecond)
	again := s.newCourse(t)
	s.must(t, request(again, "key-number-2", `{}`))
	require.NotZero(t, s.redis(t).DBSize(t.Context()).Val())
}

func databaseTimeout(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	before := s.rows(t)
	holder, err := pgx.Connect(t.Context(), s.at.Superuser)
	require.NoError(t, err)
	defer func() { require.NoError(t, holder.Close(context.WithoutCancel(t.Context()))) }()
	tx, err := holder.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select from lectern.courses where id = $1 for update`, c.ID)
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = s.uploads.InitializeFSM(ctx, s.owner, request(c, "key-number-1", `{}`))
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// The server's own patience, too, can end.
	pool, err := postgres.Open(t.Context(), s.at.App+"&options=-c%20statement_timeout%3D300", 1)
	require.NoError(t, err)
	defer pool.Close()
	cmd, err := domain.NewInitializeFSMCommand("InitializeFSM", domain.InitializeFSMCommand{
		CourseID: c.ID, Caller: s.owner, Key: "key-number-1", InitiatedBy: domain.ActorTest, State: domain.StateStage4Init,
	})
	require.NoError(t, err)
	_, err = postgres.NewCommands(pool).InitializeFSM(t.Context(), cmd)
	requireReason(t, domain.ReasonUnavailable, err)

	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, before, s.rows(t))
	require.False(t, s.must(t, request(c, "key-number-1", `{}`)).FromCache, "the key is free")
}

func missingFields(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	foreign := *s
	foreign.owner = domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	theirs := foreign.newCourse(t)
	before := s.rows(t)
	big := json.RawMessage(`{"x": "` + strings.Repeat("x", 10<<20) + `"}`)
	for name, tt := range map[string]struct {
		change func(*app.InitializeRequest)
		reason domain.Reason
		field  string
	}{
		"no course":                   {func(r *app.InitializeRequest) { r.CourseID = uuid.Nil }, domain.ReasonInvalidField, "course_id"},
		"no key":                      {func(r *app.InitializeRequest) { r.Key = "" }, domain.ReasonInvalidField, "idempotency_key"},
		"no state":                    {func(r *app.InitializeRequest) { r.State = "" }, domain.ReasonInvalidField, "state"},
		"no queue":                    {func(r *app.InitializeRequest) { r.Jobs[0].Queue = "" }, domain.ReasonInvalidField, "jobs[0].queue"},
		"no data":                     {func(r *app.InitializeRequest) { r.Jobs[0].Data = nil }, domain.ReasonInvalidField, "jobs[0].data"},
		"a course that is not there":  {func(r *app.InitializeRequest) { r.CourseID = uuid.New() }, domain.ReasonCourseNotFound, ""},
		"another tenant's course":     {func(r *app.InitializeRequest) { r.CourseID = theirs.ID }, domain.ReasonForeignCourse, ""},
		"a state that does not exist": {func(r *app.InitializeRequest) { r.State = "stage_9" }, domain.ReasonInvalidField, "state"},
		"an illegal transition":       {func(r *app.InitializeRequest) { r.State = domain.StateStage3Init }, domain.ReasonIllegalTransition, ""},
		"data that is not an object":  {func(r *app.InitializeRequest) { r.Jobs[0].Data = json.RawMessage(`[]`) }, domain.ReasonInvalidField, "jobs[0].data"},
		"a key of 7 characters":       {func(r *app.InitializeRequest) { r.Key = "1234567" }, domain.ReasonInvalidField, "idempotency_key"},
		"a key of 256 characters":     {func(r *app.InitializeRequest) { r.Key = strings.Repeat("k", 256) }, domain.ReasonInvalidField, "idempotency_key"},
		"10 MB of job data":           {func(r *app.InitializeRequest) { r.Jobs[0].Data = big }, domain.ReasonJobTooLarge, "jobs[0].data"},
		"10,000 jobs": {func(r *app.InitializeRequest) {
			r.Jobs = make([]app.JobRequest, 10_000)
		}, domain.ReasonTooManyJobs, "jobs"},
	} {
		r := request(c, "key-number-1", `{}`)
		tt.change(&r)
		_, err := s.uploads.InitializeFSM(t.Context(), s.owner, r)
		var known *domain.Error
		require.ErrorAs(t, err, &known, name)
		require.Equal(t, tt.reason, known.Reason, name)
		require.Equal(t, tt.field, known.Field, name)
		require.Equal(t, before, s.rows(t), name)
	}
	require.Equal(t, domain.StatePending, s.readBack(t, c.ID).State)
}

func duplicateOutboxID(t *testing.T) {
	s := outboxSite(t)
	c, other := s.newCourse(t), s.newCourse(t)
	taken := s.must(t, request(other, "key-number-1", `{}`)).OutboxEntries[0].ID
	before := s.rows(t)
	job, err := domain.NewJob(taken, domain.QueueSummarization, json.RawMessage(`{}`), domain.JobOptions{})
	require.NoError(t, err)
	cmd, err := domain.NewInitializeFSMCommand("InitializeFSM", domain.InitializeFSMCommand{
		CourseID: c.ID, Caller: s.owner, Key: "key-number-2", InitiatedBy: domain.ActorTest, State: domain.StateStage4Init, Jobs: []domain.Job{job},
	})
	require.NoError(t, err)
	pool, err := postgres.Open(t.Context(), s.at.App, 1)
	require.NoError(t, err)
	defer pool.Close()
	_, err = postgres.NewCommands(pool).InitializeFSM(t.Context(), cmd)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonDuplicateEntry, Field: "outbox_id"})
	require.Equal(t, before, s.rows(t))
	require.Equal(t, domain.StatePending, s.readBack(t, c.ID).State)
	require.Equal(t, taken, s.readBack(t, other.ID).Entries[0].ID, "the other's is as it was")
}

// Entries and inbox rows refer to a course that is there. Events and keys do
// because who writes them holds the course's lock, which costs no check; all
// go with their course, those of others stay.
func referential(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	s.must(t, request(c, "key-number-1", `{}`))
	conn, err := pgx.Connect(t.Context(), s.at.Superuser)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	for _, statement := range []string{
		`insert into lectern.job_outbox (outbox_id, entity_id, run, queue_name, job_data) values (gen_random_uuid(), gen_random_uuid(), 1, 'q', '{}')`,
		`insert into lectern.processed_jobs (outbox_id, consumer, entity_id, outcome) values (gen_random_uuid(), 'workers', gen_random_uuid(), 'completed')`,
		`update lectern.job_outbox set entity_id = gen_random_uuid()`,
	} {
		_, err := conn.Exec(t.Context(), statement)
		requireSQLState(t, "23503", err)
	}
	_, err = conn.Exec(t.Context(), `insert into lectern.processed_jobs (outbox_id, consumer, entity_id, outcome) values (gen_random_uuid(), 'workers', $1, 'completed')`, c.ID)
	require.NoError(t, err)
	other := s.newCourse(t)
	s.must(t, request(other, "key-number-2", `{}`))
	_, err = conn.Exec(t.Context(), `delete from lectern.courses where id = $1`, c.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"courses": 1, "job_outbox": 1, "idempotency_keys": 1, "fsm_events": 2, "processed_jobs": 0}, s.rows(t))
	_, err = conn.Exec(t.Context(), `delete from lectern.courses`)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"courses": 0, "job_outbox": 0, "idempotency_keys": 0, "fsm_events": 0, "processed_jobs": 0}, s.rows(t))
}

func jobDataIsValidJSONB(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	data := []string{
		`{}`,
		`{"text": "Продажи \"B2B\" – 50 % 🐝\n", "": null}`,
		`{"deep": {"list": [1, 2.50, -0, 1e3, true, [], {"a": [{}]}]}, "big": 12345678901234567890.123456789}`,
	}
	s.must(t, request(c, "key-number-1", data...))
	for i, e := range s.readBack(t, c.ID).Entries {
		require.JSONEq(t, data[i], string(e.Data))
	}
	require.Equal(t, []string{"object"}, query[[]string](t, s, `select array_agg(distinct jsonb_typeof(job_data)) from lectern.job_outbox`))
	require.Equal(t, "12345678901234567890.123456789", query[string](t, s,
		`select job_data->>'big' from lectern.job_outbox where job_data ? 'big'`), "not a digit is lost")
}

func eventTimestamps(t *testing.T) {
	s := outboxSite(t)
	c := s.newCourse(t)
	began := query[time.Time](t, s, `select clock_timestamp()`)
	s.must(t, request(c, "key-number-1", `{}`, `{}`))
	s.restart(t, c)
	s.must(t, request(c, "key-number-2", `{}`))
	ended := query[time.Time](t, s, `select clock_timestamp()`)

	got := s.readBack(t, c.ID)
	require.Len(t, got.Events, 7)
	last := began
	for i, e := range got.Events {
		require.Equal(t, int64(i+1), e.No)
		require.False(t, e.CreatedAt.Before(last), "time goes with the numbers")
		last = e.CreatedAt
	}
	require.False(t, last.After(ended))
	for _, e := range got.Entries {
		require.False(t, e.CreatedAt.Before(began))
		require.False(t, e.CreatedAt.After(ended))
	}
}
