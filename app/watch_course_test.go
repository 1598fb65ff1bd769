package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

// history is courses that have events, and counts who asks for them.
type history struct {
	ports.Courses

	mu     sync.Mutex
	events map[uuid.UUID][]domain.Event
	asked  map[uuid.UUID]int
}

func newHistory() *history {
	return &history{events: map[uuid.UUID][]domain.Event{}, asked: map[uuid.UUID]int{}}
}

// add appends a change of state.
func (h *history) add(t *testing.T, course uuid.UUID, to domain.State) {
	t.Helper()
	data, err := json.Marshal(domain.EventData{To: to})
	require.NoError(t, err)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events[course] = append(h.events[course], domain.Event{
		CourseID: course, No: int64(len(h.events[course]) + 1), Type: domain.EventStateTransitioned, Data: data,
	})
}

func (h *history) Get(_ context.Context, _ domain.Identity, id uuid.UUID) (domain.Course, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := domain.Course{ID: id, State: domain.StatePending}
	if events := h.events[id]; len(events) > 0 {
		var data domain.EventData
		if err := json.Unmarshal(events[len(events)-1].Data, &data); err != nil {
			return c, err
		}
		c.State = data.To
	}
	return c, nil
}

func (h *history) Events(_ context.Context, _ domain.Identity, id uuid.UUID, after int64, limit int) ([]domain.Event, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked[id]++
	events := h.events[id][min(int(after), len(h.events[id])):]
	return append([]domain.Event(nil), events[:min(limit, len(events))]...), nil
}

// askedSince returns who asked for events since the last time.
func (h *history) askedSince() map[uuid.UUID]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := maps.Clone(h.asked)
	clear(h.asked)
	return asked
}

// watching is a watcher of one course, and what it saw.
type watching struct {
	seen chan int64
	done chan error
}

func watch(ctx context.Context, s *app.CourseService, course uuid.UUID, after int64) watching {
	w := watching{make(chan int64, 1000), make(chan error, 1)}
	go func() {
		w.done <- s.Watch(ctx, domain.Identity{}, course, after, func(e domain.Event) error {
			w.seen <- e.No
			return nil
		})
	}()
	return w
}

func (w watching) numbers() (numbers []int64) {
	for len(w.seen) > 0 {
		numbers = append(numbers, <-w.seen)
	}
	return numbers
}

func TestAnEventWakesTheWatchersOfItsCourseAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, signals := newHistory(), app.NewSignals()
		var hears atomic.Bool
		hears.Store(true)
		s := app.NewCourseService(app.CourseDeps{
			Courses: h, Signals: signals, WatchPoll: time.Second, Hears: hears.Load, Log: quiet(),
		})
		ctx, cancel := context.WithCancel(t.Context())
		courses, watchers := make([]uuid.UUID, 100), make([]watching, 100)
		for i := range courses {
			courses[i] = uuid.New()
			watchers[i] = watch(ctx, s, courses[i], 0)
		}
		synctest.Wait()
		h.askedSince()

		h.add(t, courses[7], domain.StateStage4Init)
		signals.Happened(courses[7])
		synctest.Wait()
		require.Equal(t, []int64{1}, watchers[7].numbers())
		require.Equal(t, map[uuid.UUID]int{courses[7]: 1}, h.askedSince())

		h.add(t, courses[8], domain.StateStage4Init) // and nobody says so
		hears.Store(false)
		time.Sleep(5 * time.Second) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		require.Equal(t, []int64{1}, watchers[8].numbers(), "found by polling, seldom while it heard")
		for course, n := range h.askedSince() {
			require.Equal(t, 1, n, course)
		}
		h.add(t, courses[9], domain.StateStage4Init)
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		require.Equal(t, []int64{1}, watchers[9].numbers(), "found by polling, often while it does not hear")

		h.add(t, courses[7], domain.StateCompleted)
		signals.Happened(courses[7])
		require.NoError(t, <-watchers[7].done)
		require.Equal(t, []int64{2}, watchers[7].numbers())
		cancel()
		for i, w := range watchers {
			if i != 7 {
				require.ErrorIs(t, <-w.done, context.Canceled)
			}
		}
	})
}

// The history has a run that ended, before the one that is watched.
func TestAWatchEndsWithTheRunAndNotWithAnEarlierOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, signals, course := newHistory(), app.NewSignals(), uuid.New()
		s := app.NewCourseService(app.CourseDeps{Courses: h, Signals: signals, WatchPoll: time.Second, Hears: func() bool { return true }, Log: quiet()})
		for _, state := range []domain.State{domain.StateStage4Init, domain.StateFailed, domain.StatePending, domain.StateStage4Init} {
			h.add(t, course, state)
		}
		whole, rest := watch(t.Context(), s, course, 0), watch(t.Context(), s, course, 3)
		synctest.Wait()
		require.Equal(t, []int64{1, 2, 3, 4}, whole.numbers())
		require.Equal(t, []int64{4}, rest.numbers())
		require.Empty(t, whole.done)

		h.add(t, course, domain.StateCompleted)
		signals.Happened(course)
		for _, w := range []watching{whole, rest, watch(t.Context(), s, course, 4)} {
			require.NoError(t, <-w.done)
			require.Equal(t, []int64{5}, w.numbers())
		}
		late := watch(t.Context(), s, course, 5)
		require.NoError(t, <-late.done, "all of it was seen")
		require.Empty(t, late.numbers())
		leaving := s.Watch(t.Context(), domain.Identity{}, course, 0, func(domain.Event) error { return errors.New("gone") })
		require.ErrorContains(t, leaving, "send event 1: gone")
	})
}
