package main

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

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
