package app

import (
	"sync"

	"github.com/google/uuid"
)

// CourseSignal wakes whoever watches a course, and nobody who watches another.
type CourseSignal struct {
	mu       sync.Mutex
	watchers map[uuid.UUID]map[chan struct{}]struct{}
}

// NewCourseSignal makes a signal that nobody waits for.
func NewCourseSignal() *CourseSignal {
	return &CourseSignal{watchers: map[uuid.UUID]map[chan struct{}]struct{}{}}
}

// Watch returns a channel that brings word of each change of a course from now
// on; of changes that nobody has taken in between, once. The caller stops it.
func (s *CourseSignal) Watch(course uuid.UUID) (changed <-chan struct{}, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	watcher := make(chan struct{}, 1)
	if s.watchers[course] == nil {
		s.watchers[course] = map[chan struct{}]struct{}{}
	}
	s.watchers[course][watcher] = struct{}{}
	return watcher, func() { s.forget(course, watcher) }
}

func (s *CourseSignal) forget(course uuid.UUID, watcher chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers[course], watcher)
	if len(s.watchers[course]) == 0 {
		delete(s.watchers, course)
	}
}

// Notify wakes the watchers of these courses.
func (s *CourseSignal) Notify(courses ...uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, course := range courses {
		wake(s.watchers[course])
	}
}

// NotifyAll wakes everyone: what was missed may be of any course.
func (s *CourseSignal) NotifyAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, watchers := range s.watchers {
		wake(watchers)
	}
}

func wake(watchers map[chan struct{}]struct{}) {
	for watcher := range watchers {
		select {
		case watcher <- struct{}{}:
		default: // it has word already
		}
	}
}
