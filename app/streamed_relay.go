package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
	"lectern/ports"
)

// longestLook is how long a look at the stream is sent for: its transaction
// lasts as long. What is left then comes in the next.
const longestLook = 5 * time.Second

// StreamedRelay is the relay on a stream that holds what it hands out until
// it is settled, and hands it to one relay alone: this one needs no leases.
// It publishes each entry by itself, and settles many together.
type StreamedRelay struct {
	relay  *Relay // for its pace, its health and how it publishes; it leases nothing
	stream ports.EntryStream

	woken    <-chan struct{} // taken before the look, so that no commit slips in between
	failures int
	look     struct {
		until time.Time
		held  map[uuid.UUID]bool // courses of which nothing more may leave in this look
		down  map[domain.Queue]error
		dead  []domain.FailedEntry
	}
}

var (
	_ ports.Relay     = (*Relay)(nil)
	_ ports.Relay     = (*StreamedRelay)(nil)
	_ ports.EntrySink = (*StreamedRelay)(nil)
)

// NewStreamedRelay makes a relay; Run starts it. Holder, BatchSize and Lease
// mean nothing to it.
func NewStreamedRelay(deps RelayDeps, stream ports.EntryStream) *StreamedRelay {
	return &StreamedRelay{relay: NewRelay(deps), stream: stream}
}

// Run implements ports.Relay.
func (r *StreamedRelay) Run(ctx context.Context) error {
	r.relay.reached() // it has as long as any look for the first one
	return r.stream.Stream(ctx, r)
}

// Alive implements ports.Relay.
func (r *StreamedRelay) Alive() bool { return r.relay.Alive() }

// PollInterval implements ports.Relay.
func (r *StreamedRelay) PollInterval() time.Duration { return r.relay.PollInterval() }

// Looking implements ports.EntrySink.
func (r *StreamedRelay) Looking() {
	r.woken = r.relay.Wake.C()
	r.look.until = r.relay.Now().Add(longestLook)
	r.look.held = map[uuid.UUID]bool{}
	r.look.down = map[domain.Queue]error{}
	r.look.dead = nil
}

// Send implements ports.EntrySink. Once an entry failed, what follows it in its
// course is left for a later look, by when it is parked, unless it may pass.
func (r *StreamedRelay) Send(ctx context.Context, e domain.OutboxEntry) domain.Settlement {
	settled := domain.Settlement{HoldBehindDead: r.relay.Config.OnDead == domain.OnDeadBlock}
	if ctx.Err() != nil || r.look.down[e.Queue] != nil || r.look.held[e.CourseID] || !r.relay.Now().Before(r.look.until) {
		return settled
	}
	if err := r.relay.publishTopic([]domain.OutboxEntry{e}, &settled); err != nil {
		r.look.down[e.Queue] = err
	}
	r.look.dead = append(r.look.dead, settled.Dead...)
	r.look.held[e.CourseID] = len(settled.Retry) > 0 || len(settled.Dead) > 0 && settled.HoldBehindDead
	return settled
}

// Looked implements ports.EntrySink.
func (r *StreamedRelay) Looked(ctx context.Context, look ports.Look) {
	if look.Err == nil {
		r.relay.reached()
		r.relay.tellOf(r.look.dead)
	}
	err := errors.Join(append(slices.Collect(maps.Values(r.look.down)), look.Err)...)
	config := r.relay.Config
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.failures++
		delay := r.relay.Backoff.Delay(r.failures)
		r.relay.Log.WarnContext(ctx, "relay pass failed", "error", err, "failures", r.failures, "retry_in", delay)
		// Not woken early: each new commit would hammer what is down.
		wait(ctx, delay, nil)
		return
	case look.Elsewhere:
		wait(ctx, config.PollMin, nil) // each commit wakes whoever has it in hand
	case look.Entries > 0:
		r.relay.poll.Store(int64(config.PollMin))
	default:
		wait(ctx, r.relay.untilNextLook(ctx), r.woken)
	}
	r.failures = 0
}
