package ports

import "context"

// EntryNotifier tells other processes that the outbox has new entries. It may be
// called by several goroutines.
type EntryNotifier interface {
	// NotifyEntries tells whoever listens just now. It says nothing of which
	// entries, so one call does for many commits. It is called after they
	// committed, and is no part of their transactions.
	NotifyEntries(ctx context.Context) error
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
