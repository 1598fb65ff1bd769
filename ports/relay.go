package ports

import (
	"context"
	"time"

	"lectern/domain"
)

// Relay is the outbox processor, by whichever engine: it brings what is ready
// in the outbox to the broker. Any number of relays share an outbox.
type Relay interface {
	// Run relays until ctx ends; what is in hand then is settled first.
	// Whatever goes wrong is logged, and tried again after a delay.
	Run(ctx context.Context) error

	// Alive is false when the relay has not reached the database for a while:
	// at most a minute after it is stuck.
	Alive() bool

	// PollInterval returns the present interval between looks at an idle outbox.
	PollInterval() time.Duration
}

// EntryStream is the outbox as a stream of ready entries, one after another. It
// holds and settles what it hands out itself.
type EntryStream interface {
	// Stream looks at the outbox again and again until ctx ends, and hands what
	// is ready to the sink: each entry once a look, in commit order within its
	// course, to one sink alone of all that stream. What the sink settled by
	// then is kept before it returns. It returns nil: errors go to the sink.
	Stream(ctx context.Context, to EntrySink) error
}

// EntrySink takes what an EntryStream hands out. Its calls don't overlap: a
// look begins, entries are sent, and the look ends.
type EntrySink interface {
	// Looking is called before a look.
	Looking()

	// Send publishes an entry and returns what became of it. An empty
	// settlement leaves it as it is: it comes again in another look. What
	// else failed in the look it may leave too, so as to pass nothing.
	Send(ctx context.Context, e domain.OutboxEntry) domain.Settlement

	// Looked is called after a look, and returns when it is time for the next.
	Looked(ctx context.Context, look Look)
}

// Look is what came of one look at the outbox.
type Look struct {
	Entries   int   // that were handed out
	Elsewhere bool  // another relay has what there is in hand
	Err       error // what was settled may be lost, and its entries come again
}
