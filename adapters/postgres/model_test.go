package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/domain"
)

// model is what a course must be after the commands so far: a few lines beside
// the functions and triggers that they are held against.
type model struct {
	state   domain.State
	version int64
	run     int
	events  []domain.EventType
	entries []uuid.UUID
	answers map[domain.IdempotencyKey]domain.InitializeFSMResult
	asked   map[domain.IdempotencyKey]domain.Fingerprint
}

func (m *model) move(to domain.State, event domain.EventType) {
	m.state = to
	m.version++
	if to == domain.StatePending {
		m.run++
	}
	m.events = append(m.events, event)
}

// wrong returns the reason for which a request must be refused, or "".
func (m *model) wrong(key domain.IdempotencyKey, fp domain.Fingerprint, to domain.State) domain.Reason {
	switch asked, used := m.asked[key]; {
	case used && asked != fp:
		return domain.ReasonIdempotencyReuse
	case used:
		return ""
	case !m.state.CanBecome(to):
		return domain.ReasonIllegalTransition
	}
	return ""
}

// check compares the course as the application's role reads it, on a
// connection of its own and at once.
func (m *model) check(ctx context.Context, t require.TestingT, b *bundle, id uuid.UUID) {
	c, err := b.reader.Get(ctx, b.caller, id)
	require.NoError(t, err)
	require.Equal(t, m.state, c.State)
	require.Equal(t, m.version, c.Version, "the version rises by one with every change of state")
	require.Equal(t, m.run, c.Run)

	events, err := b.reader.Events(ctx, b.caller, id, 0, 10000)
	require.NoError(t, err)
	var types []domain.EventType
	for i, e := range events {
		require.Equal(t, int64(i+1), e.No, "event_no has no gap")
		types = append(types, e.Type)
	}
	require.Equal(t, m.events, types, "each change of state and each entry has its event, in order")
	requireHistory(t, events)

	entries, err := b.reader.Entries(ctx, b.caller, id)
	require.NoError(t, err)
	require.Equal(t, m.entries, ids(entries), "an entry is there with its commit, or not at all")
}

// requireHistory follows the events' own account of the states.
func requireHistory(t require.TestingT, events []domain.Event) {
	state, version := domain.StatePending, int64(0)
	for _, e := range events {
		if e.Type != domain.EventFSMInitialized && e.Type != domain.EventStateTransitioned {
			continue
		}
		var data domain.EventData
		require.NoError(t, json.Unmarshal(e.Data, &data))
		require.Equal(t, state, data.From)
		require.True(t, data.From.CanBecome(data.To), "%s -> %s", data.From, data.To)
		state, version = data.To, version+1
		require.Equal(t, version, data.Version)
	}
}

// Random orders of commands, the worker's transitions, cancels and restarts,
// with keys that are fresh, repeated and misused.
func TestCoursesFollowTheModelWhateverTheOrderOfCommands(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(rt *rapid.T) {
		c := b.course(t)
		m := &model{
			state: domain.StatePending, run: 1,
			answers: map[domain.IdempotencyKey]domain.InitializeFSMResult{}, asked: map[domain.IdempotencyKey]domain.Fingerprint{},
		}
		prefix := c.ID.String()
		key := rapid.Custom(func(rt *rapid.T) domain.IdempotencyKey {
			return domain.IdempotencyKey(fmt.Sprintf("%s-%d", prefix, rapid.IntRange(0, 12).Draw(rt, "key")))
		})
		rt.Repeat(map[string]func(*rapid.T){
			"initialize": func(rt *rapid.T) { m.initialize(t, rt, b, c, key.Draw(rt, "key")) },
			"cancel":     func(rt *rapid.T) { m.change(t, rt, b, c, key.Draw(rt, "key"), domain.StateCancelled) },
			"restart":    func(rt *rapid.T) { m.change(t, rt, b, c, key.Draw(rt, "key"), domain.StatePending) },
			"work":       func(rt *rapid.T) { m.work(t, rt, b, c) },
			"":           func(rt *rapid.T) { m.check(t.Context(), rt, b, c.ID) },
		})
	})
}

func (m *model) initialize(t *testing.T, rt *rapid.T, b *bundle, c domain.Course, key domain.IdempotencyKey) {
	to := rapid.SampledFrom([]domain.State{domain.StateStage2Init, domain.StateStage4Init, domain.StateStage5Init}).Draw(rt, "to")
	jobs := make([]domain.Job, rapid.IntRange(0, 3).Draw(rt, "jobs"))
	for i := range jobs {
		jobs[i] = job(t, domain.QueueStructureAnalysis, c.ID)
	}
	cmd := b.command(t, c, string(key), to, jobs...)
	result, err := b.commands.InitializeFSM(t.Context(), cmd)
	if reason := m.wrong(key, cmd.Fingerprint, to); reason != "" {
		require.ErrorIs(rt, err, &domain.Error{Reason: reason})
		return
	}
	require.NoError(rt, err)
	if first, used := m.answers[key]; used {
		require.True(rt, result.FromCache)
		result.FromCache, result.KeptFor = first.FromCache, first.KeptFor
		require.Equal(rt, first, result, "a replay equals the first answer")
		return
	}
	require.False(rt, result.FromCache)
	m.answers[key], m.asked[key] = result, cmd.Fingerprint
	m.move(to, domain.EventFSMInitialized)
	for _, j := range jobs {
		m.events = append(m.events, domain.EventJobCreated)
		m.entries = append(m.entries, j.ID)
	}
}

func (m *model) change(t *testing.T, rt *rapid.T, b *bundle, c domain.Course, key domain.IdempotencyKey, to domain.State) {
	fp := domain.Fingerprint(strings.Repeat(map[domain.State]string{domain.StateCancelled: "c", domain.StatePending: "d"}[to], 64))
	_, err := b.commands.ChangeState(t.Context(), domain.ChangeStateCommand{
		CourseID: c.ID, Caller: b.caller, Key: key, Fingerprint: fp, InitiatedBy: domain.ActorTest, State: to,
	})
	if reason := m.wrong(key, fp, to); reason != "" {
		require.ErrorIs(rt, err, &domain.Error{Reason: reason})
		return
	}
	require.NoError(rt, err)
	if _, used := m.asked[key]; !used {
		m.asked[key] = fp
		m.move(to, domain.EventStateTransitioned)
	}
}

// work lets a worker begin a job of the analysis: the state decides.
func (m *model) work(t *testing.T, rt *rapid.T, b *bundle, c domain.Course) {
	run := rapid.IntRange(max(1, m.run-1), m.run).Draw(rt, "run")
	verdict, _, err := b.steps.Begin(t.Context(), domain.Delivery{
		OutboxID: newID(t), CourseID: c.ID, Run: run, Queue: domain.QueueStructureAnalysis,
	})
	require.NoError(rt, err)
	switch {
	case run != m.run:
		require.Equal(rt, domain.VerdictStale, verdict)
	case m.state == domain.StateStage4Analyzing:
		require.Equal(rt, domain.VerdictWork, verdict)
	case m.state.CanBecome(domain.StateStage4Analyzing):
		require.Equal(rt, domain.VerdictWork, verdict)
		m.move(domain.StateStage4Analyzing, domain.EventStateTransitioned)
	default:
		require.Equal(rt, domain.VerdictUnfit, verdict)
	}
}

// The same at once, from many sessions. Which of them wins is not known, but
// what they leave behind must tell one story.
func TestCommandsInParallelLeaveOneStory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(rt *rapid.T) {
		c := b.course(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		queued := map[uuid.UUID]bool{}
		answers := map[string][]domain.InitializeFSMResult{}
		for i := range rapid.IntRange(2, 12).Draw(rt, "calls") {
			key := fmt.Sprintf("%s-%d", c.ID, rapid.IntRange(0, 3).Draw(rt, "key"))
			to := rapid.SampledFrom([]domain.State{domain.StateStage2Init, domain.StateStage4Init, domain.StateCancelled, domain.StatePending}).Draw(rt, "to")
			cmd := domain.ChangeStateCommand{
				CourseID: c.ID, Caller: b.caller, Key: domain.IdempotencyKey(fmt.Sprintf("%s-change-%d", c.ID, i)),
				Fingerprint: domain.Fingerprint(strings.Repeat("e", 64)), InitiatedBy: domain.ActorTest, State: to,
			}
			if to == domain.StateCancelled || to == domain.StatePending {
				wg.Go(func() {
					_, err := b.commands.ChangeState(t.Context(), cmd)
					requireRefusal(t, err)
				})
				continue
			}
			initialize := b.command(t, c, key, to, job(t, domain.QueueStructureAnalysis, c.ID))
			wg.Go(func() {
				result, err := b.commands.InitializeFSM(t.Context(), initialize)
				requireRefusal(t, err)
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					queued[result.OutboxEntries[0].ID] = true
					result.FromCache, result.KeptFor = false, 0
					answers[key] = append(answers[key], result)
				}
			})
		}
		wg.Wait()

		for key, all := range answers {
			for _, answer := range all {
				require.Equal(rt, all[0], answer, "all who called with %s have one answer", key)
			}
		}
		course, err := b.reader.Get(t.Context(), b.caller, c.ID)
		require.NoError(rt, err)
		events := b.events(t, c)
		requireHistory(rt, events)
		moves := slices.DeleteFunc(slices.Clone(events), func(e domain.Event) bool { return e.Type == domain.EventJobCreated })
		require.Len(rt, moves, int(course.Version), "no change of state without an event")
		require.Len(rt, events, len(moves)+len(queued), "no entry without an event")
		entries, err := b.reader.Entries(t.Context(), b.caller, c.ID)
		require.NoError(rt, err)
		require.Len(rt, entries, len(queued), "no entry without its commit")
		for _, e := range entries {
			require.True(rt, queued[e.ID])
		}
	})
}

// requireRefusal lets nothing through but success and the refusals that lost races earn.
func requireRefusal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		require.Contains(t, []domain.Reason{domain.ReasonIllegalTransition, domain.ReasonIdempotencyReuse}, domain.ReasonOf(err), "%v", err)
	}
}
