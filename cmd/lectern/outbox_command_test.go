package main

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
)

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
