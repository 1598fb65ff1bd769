package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

const keptFor = 24 * time.Hour

func TestARepeatedCommandIsAnsweredByTheCache(t *testing.T) {
	t.Parallel()
	s := newCached(t)
	c := command(t, domain.QueueDocumentProcessing, domain.QueueDocumentProcessing)

	first, err := s.InitializeFSM(t.Context(), c)
	require.NoError(t, err)
	require.False(t, first.FromCache)
	for range 3 {
		again, err := s.InitializeFSM(t.Context(), c)
		require.NoError(t, err)
		require.True(t, again.FromCache)
		require.Equal(t, first.FSMState, again.FSMState)
		require.Equal(t, first.OutboxEntries, again.OutboxEntries)
	}
	require.Equal(t, 1, s.commands.calls)
}

func TestAReplayOfTheDatabaseIsCachedToo(t *testing.T) {
	t.Parallel()
	s := newCached(t)
	s.commands.change = func(r *domain.InitializeFSMResult) { r.FromCache = true }
	c := command(t)
	for range 2 {
		r, err := s.InitializeFSM(t.Context(), c)
		require.NoError(t, err)
		require.True(t, r.FromCache)
	}
	require.Equal(t, 1, s.commands.calls)
}

func TestACachedKeyIsRefusedForAnotherRequestAsTheDatabaseRefusesIt(t *testing.T) {
	t.Parallel()
	s := newCached(t)
	c := command(t)
	_, err := s.InitializeFSM(t.Context(), c)
	require.NoError(t, err)
	other := command(t)
	other.Key, other.Caller = c.Key, c.Caller

	_, err = s.InitializeFSM(t.Context(), other)

	var refused *domain.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, domain.ReasonIdempotencyReuse, refused.Reason)
	require.Equal(t, 1, s.commands.calls)
	schema, err := os.ReadFile("../migrations/0004_command.sql")
	require.NoError(t, err)
	require.Contains(t, string(schema), fmt.Sprintf("raise exception '%s' using errcode = 'LE005'", refused.Message))
}

func TestAKeyOfAnotherOrganizationIsAnother(t *testing.T) {
	t.Parallel()
	s := newCached(t)
	c := command(t)
	_, err := s.InitializeFSM(t.Context(), c)
	require.NoError(t, err)
	c.Caller.OrganizationID = uuid.New()

	r, err := s.InitializeFSM(t.Context(), c)

	require.NoError(t, err)
	require.False(t, r.FromCache)
	require.Equal(t, 2, s.commands.calls)
}

func TestACachedAnswerThatIsNoneIsAMissAndIsReplaced(t *testing.T) {
	t.Parallel()
	c := command(t, domain.QueueDocumentProcessing, domain.QueueDocumentProcessing)
	for name, change := range map[string]func(*domain.InitializeFSMResult){
		"another course":      func(r *domain.InitializeFSMResult) { r.FSMState.CourseID = uuid.New() },
		"another state":       func(r *domain.InitializeFSMResult) { r.FSMState.State = domain.StateStage4Init },
		"no version":          func(r *domain.InitializeFSMResult) { r.FSMState.Version = 0 },
		"no time":             func(r *domain.InitializeFSMResult) { r.FSMState.CreatedAt = time.Time{} },
		"an entry too few":    func(r *domain.InitializeFSMResult) { r.OutboxEntries = r.OutboxEntries[:1] },
		"an entry too many":   func(r *domain.InitializeFSMResult) { r.OutboxEntries = append(r.OutboxEntries, r.OutboxEntries[0]) },
		"another entry":       func(r *domain.InitializeFSMResult) { r.OutboxEntries[1].Queue = domain.QueueSummarization },
		"an entry without id": func(r *domain.InitializeFSMResult) { r.OutboxEntries[1].ID = uuid.Nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCached(t)
			wrong := answerTo(c)
			change(&wrong)
			encoded, err := json.Marshal(wrong)
			require.NoError(t, err)
			s.requireMissed(t, c, string(encoded))
		})
	}
	for name, text := range map[string]string{
		"another shape": `{"fsmState": 5}`,
		"nothing":       `{}`,
		"broken JSON":   `{"fsmState":`,
		"broken ids":    `{"fsmState": {"entity_id": "x"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newCached(t).requireMissed(t, c, text)
		})
	}
}

// requireMissed stores what is no answer to c.
func (s *cached) requireMissed(t *testing.T, c domain.InitializeFSMCommand, result string) {
	t.Helper()
	s.cache.Set(t.Context(), c.Caller.OrganizationID, c.Key, domain.CachedAnswer{Fingerprint: c.Fingerprint, Result: []byte(result)}, time.Hour)
	for _, fromCache := range []bool{false, true} {
		r, err := s.InitializeFSM(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, fromCache, r.FromCache)
		require.Equal(t, answerTo(c).FSMState, r.FSMState)
	}
	require.Equal(t, 1, s.commands.calls)
	require.Equal(t, 1, bytes.Count(s.log.Bytes(), []byte("level=WARN")), s.log.String())
}

func TestAFailedCommandIsNotCached(t *testing.T) {
	t.Parallel()
	s := newCached(t)
	s.commands.err = domain.Errorf(domain.ReasonIllegalTransition, "no")
	c := command(t)
	_, err := s.InitializeFSM(t.Context(), c)
	require.ErrorIs(t, err, s.commands.err)
	require.Empty(t, s.cache.kept)
}

func TestAnAnswerIsCachedThoughItsCallerHasLeft(t *testing.T) {
	t.Parallel()
	s := newCached(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.commands.change = func(*domain.InitializeFSMResult) { cancel() } // after the commit
	c := command(t)
	_, err := s.InitializeFSM(ctx, c)
	require.NoError(t, err)
	require.Len(t, s.cache.kept, 1)
}

func TestAnAnswerIsCachedNoLongerThanItsKeyIsKept(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ kept, took, want time.Duration }{
		"a first answer":      {24 * time.Hour, 30 * time.Millisecond, 24*time.Hour - 30*time.Millisecond},
		"an old one":          {time.Minute, time.Second, 59 * time.Second},
		"the last moment":     {time.Second, time.Second, 0},
		"past the last":       {time.Second, time.Minute, 0},
		"expired":             {-time.Second, 0, 0},
		"a database mute":     {0, time.Millisecond, 0},
		"one that took a day": {24 * time.Hour, 25 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCached(t)
			s.cache.took = time.Hour // a slow cache must not count: the command began after it
			s.commands.change = func(r *domain.InitializeFSMResult) {
				r.KeptFor = tc.kept
				s.clock.advance(tc.took)
			}
			_, err := s.InitializeFSM(t.Context(), command(t))
			require.NoError(t, err)
			if tc.want == 0 {
				require.Empty(t, s.cache.kept)
				return
			}
			for _, kept := range s.cache.kept {
				require.Equal(t, tc.want, kept.ttl)
			}
			require.Len(t, s.cache.kept, 1)
		})
	}
}

func TestAChangeOfStateIsNotCached(t *testing.T) {
	t.Parallel()
	s := newCached(t)
	s.commands.state = domain.FSMState{CourseID: uuid.New(), State: domain.StateCancelled}
	for range 2 {
		state, err := s.ChangeState(t.Context(), domain.ChangeStateCommand{Key: "key-number-1"})
		require.NoError(t, err)
		require.Equal(t, s.commands.state, state)
	}
	require.Equal(t, 2, s.commands.calls)
	require.Empty(t, s.cache.kept)
}

func TestCallersAtOnceGetEqualAnswers(t *testing.T) {
	t.Parallel()
	s := newCached(t)
	c := command(t, domain.QueueDocumentProcessing)
	results := make([]domain.InitializeFSMResult, 100)
	errs := make([]error, len(results))
	var wait sync.WaitGroup
	for i := range results {
		wait.Go(func() { results[i], errs[i] = s.InitializeFSM(t.Context(), c) })
	}
	wait.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, r := range results {
		require.Equal(t, results[0].FSMState, r.FSMState)
		require.Equal(t, results[0].OutboxEntries, r.OutboxEntries)
	}
}

// cached is what is tested, with all that it stands on.
type cached struct {
	*app.CachedCommands
	commands *commands
	cache    *cache
	clock    *clock
	log      *bytes.Buffer
}

func newCached(t *testing.T) *cached {
	t.Helper()
	s := &cached{commands: &commands{}, clock: &clock{at: time.Unix(0, 0)}, log: &bytes.Buffer{}}
	s.cache = &cache{kept: map[slot]kept{}, clock: s.clock}
	s.CachedCommands = app.NewCachedCommands(s.commands, s.cache, s.clock.now, slog.New(slog.NewTextHandler(s.log, nil)))
	return s
}

// command makes a command with a job for each of the queues.
func command(t *testing.T, queues ...domain.Queue) domain.InitializeFSMCommand {
	t.Helper()
	c := domain.InitializeFSMCommand{
		CourseID: uuid.New(), Caller: domain.Identity{OrganizationID: uuid.New()}, Key: "key-number-1",
		InitiatedBy: domain.ActorTest, State: domain.StateStage2Init,
	}
	for _, q := range queues {
		job, err := domain.NewJob(uuid.New(), q, []byte(`{}`), domain.JobOptions{})
		require.NoError(t, err)
		c.Jobs = append(c.Jobs, job)
	}
	c, err := domain.NewInitializeFSMCommand("InitializeFSM", c)
	require.NoError(t, err)
	return c
}

func answerTo(c domain.InitializeFSMCommand) domain.InitializeFSMResult {
	at := time.Date(2026, 11, 1, 12, 0, 0, 123456000, time.UTC)
	r := domain.InitializeFSMResult{
		FSMState:      domain.FSMState{CourseID: c.CourseID, State: c.State, Version: 1, CreatedBy: c.InitiatedBy, CreatedAt: at},
		OutboxEntries: []domain.QueuedEntry{},
		KeptFor:       keptFor,
	}
	for _, j := range c.Jobs {
		r.OutboxEntries = append(r.OutboxEntries, domain.QueuedEntry{ID: j.ID, Queue: j.Queue, CreatedAt: at})
	}
	return r
}

// commands answers every command; change makes the answers the test's own.
type commands struct {
	mu     sync.Mutex
	calls  int
	change func(*domain.InitializeFSMResult)
	state  domain.FSMState
	err    error
}

func (s *commands) InitializeFSM(_ context.Context, c domain.InitializeFSMCommand) (domain.InitializeFSMResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	r := answerTo(c)
	if s.change != nil {
		s.change(&r)
	}
	return r, s.err
}

func (s *commands) ChangeState(context.Context, domain.ChangeStateCommand) (domain.FSMState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	return s.state, s.err
}

// cache is a cache in memory that forgets nothing. Real ones are proven by
// portstest.TestCache.
type cache struct {
	mu    sync.Mutex
	kept  map[slot]kept
	clock *clock
	took  time.Duration // by a Get
}

type slot struct {
	organization uuid.UUID
	key          domain.IdempotencyKey
}

type kept struct {
	answer domain.CachedAnswer
	ttl    time.Duration
}

func (c *cache) Get(_ context.Context, organization uuid.UUID, key domain.IdempotencyKey) (domain.CachedAnswer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock.advance(c.took)
	k, hit := c.kept[slot{organization, key}]
	return k.answer, hit
}

func (c *cache) Set(ctx context.Context, organization uuid.UUID, key domain.IdempotencyKey, a domain.CachedAnswer, ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() == nil {
		c.kept[slot{organization, key}] = kept{a, ttl}
	}
}

var (
	_ ports.Cache    = (*cache)(nil)
	_ ports.Commands = (*commands)(nil)
)

// clock stands still until it is advanced.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
