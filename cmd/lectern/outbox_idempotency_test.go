package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
)

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
