package app

import (
	"sync"

	"github.com/google/uuid"
)

// Signal wakes whoever waits for something to change. It carries no data and
// keeps no count: take C, look, and wait on it only when there was nothing.
type Signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// NewSignal makes a signal.
func NewSignal() *Signal { return &Signal{ch: make(chan struct{})} }

// C returns a channel that the next Notify closes.
func (s *Signal) C() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

// Notify wakes everyone who holds a channel of C.
func (s *Signal) Notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}

// Signals are the changes that the parts of one process tell each other.
type Signals struct {
	Entries *Signal       // the outbox may have new entries, whoever committed them: wakes the relay
	Events  *CourseSignal // a course has new events, whoever committed them: wakes its watchers

	// news is what this process committed: Notifier tells the others. Of what it
	// heard from them it tells nobody.
	news *news
}

// NewSignals makes the signals of a process.
func NewSignals() Signals { return Signals{NewSignal(), NewCourseSignal(), newNews()} }

// committed tells that a transaction with entries of these courses, and so with
// events, is done.
func (s Signals) committed(courses ...uuid.UUID) {
	s.Entries.Notify()
	s.Events.Notify(courses...)
	s.news.add(true, courses)
}

// Happened is happened for parts that have no Signals of their own.
func (s Signals) Happened(courses ...uuid.UUID) { s.happened(courses...) }

// happened tells that a transaction with events of these courses is done.
func (s Signals) happened(courses ...uuid.UUID) {
	s.Events.Notify(courses...)
	s.news.add(false, courses)
}
