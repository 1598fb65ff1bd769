package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/app"
	"lectern/configs"
	"lectern/domain"
	"lectern/e2e/stack"
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
