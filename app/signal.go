package app

import (
	"sync"

	"github.com/google/uuid"

	"lectern/ports"
)

// Signal wakes whoever waits for something to change. It carries no data and
// keeps no count: take C, look, and wait on it only when there was nothing.
type Signal struct {
	mu    sync.Mutex
	ch    chan struct{}
	parts []part
}

// part is a signal for whoever is concerned with some partitions alone.
type part struct {
	*Signal
	has func(partition int16) bool
}

// NewSignal makes a signal.
func NewSignal() *Signal { return &Signal{ch: make(chan struct{})} }

// C returns a channel that the next Notify closes.
func (s *Signal) C() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

// Part returns a signal that is notified whenever this one is, except for a
// partition that it has not, as has says then.
func (s *Signal) Part(has func(partition int16) bool) *Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := part{NewSignal(), has}
	s.parts = append(s.parts, p)
	return p.Signal
}

// Notify wakes everyone who holds a channel of C.
func (s *Signal) Notify() { s.notify(func(part) bool { return true }) }

// NotifyCourse is Notify for a change of one course.
func (s *Signal) NotifyCourse(course uuid.UUID) {
	partition := ports.PartitionOf(course)
	s.notify(func(p part) bool { return p.has(partition) })
}

func (s *Signal) notify(concerned func(part) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
	for _, p := range s.parts {
		if concerned(p) {
			p.Notify()
		}
	}
}

// Signals are the changes that the parts of one process tell each other.
type Signals struct {
	Entries *Signal       // the outbox may have new entries, whoever committed them: wakes the relay, of one course its lane
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
	for _, course := range courses {
		s.Entries.NotifyCourse(course)
	}
	s.Events.Notify(courses...)
	s.news.add(true, courses)
}

// Happened tells that a transaction with events of these courses is done.
func (s Signals) Happened(courses ...uuid.UUID) {
	s.Events.Notify(courses...)
	s.news.add(false, courses)
}
