package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/configs"
	"lectern/domain"
	"lectern/e2e/stack"
)

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
