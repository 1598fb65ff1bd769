package ports

import (
	"context"

	"github.com/google/uuid"
)

// News is what a process has committed, for others to hear.
type News struct {
	Entries bool        // the outbox has new entries
	Courses []uuid.UUID // have new events
}

// Notifier tells other processes what this one committed. It may be called by
// several goroutines.
type Notifier interface {
	// Notify tells whoever listens just now. Of entries it does not say which, so
	// one call does for many commits. It is called after they committed, and is
	// no part of their transactions.
	Notify(ctx context.Context, n News) error
}

// EntryListener hears of the entries that other processes commit.
type EntryListener interface {
	// ListenForEntries calls ready once it has seen that it hears, and from then
	// on heard for each time that another process tells of entries. What was told
	// before ready may have been missed. It always returns an error: that of ctx
	// when it ended, else why nothing is heard any more, also when the network or
	// a pooler swallows everything without a word.
	ListenForEntries(ctx context.Context, ready, heard func()) error
}

// EventListener hears of the events that other processes commit.
type EventListener interface {
	// ListenForEvents is ListenForEntries for events: heard is given the courses
	// that have new ones.
	ListenForEvents(ctx context.Context, ready func(), heard func(courses ...uuid.UUID)) error
}
