package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"lectern/domain"
	"lectern/ports"
)

// RelayConfig tunes the relay.
type RelayConfig struct {
	BatchSize   int           // entries claimed at once
	PollMin     time.Duration // between looks while there is work
	PollMax     time.Duration // between looks when nothing came for long
	MaxAttempts int           // failed publishes before an entry is dead
	OnDead      domain.OnDead // what becomes of what comes after a dead entry in its course
}

// pollGrowth is how much longer an idle relay waits each time.
const pollGrowth = 1.5

// pollUnheard bounds the poll interval while other processes' commits wake
// nobody.
const pollUnheard = 5 * time.Second

// stuckAfter is how long a pass may take, beyond the longest poll, before the
// relay counts as stuck.
const stuckAfter = 20 * time.Second

// RelayDeps are what the relay needs.
type RelayDeps struct {
	Outbox  ports.Outbox
	Broker  ports.Broker
	Wake    *Signal     // notified after a commit with entries
	Hears   func() bool // whether other processes' commits notify Wake too; nil where there are none
	Backoff Backoff
	Now     func() time.Time
	Log     *slog.Logger
	Config  RelayConfig
}

// Relay is the outbox processor: it claims pending entries, publishes each
// topic's share as one batch, and settles them. One runs at a time.
type Relay struct {
	RelayDeps

	passed atomic.Int64 // UnixNano of the last pass that reached the database
	poll   atomic.Int64 // the present poll interval
}

// NewRelay makes a relay; Run starts it.
func NewRelay(deps RelayDeps) *Relay {
	r := &Relay{RelayDeps: deps}
	r.poll.Store(int64(deps.Config.PollMin))
	return r
}

// errBrokerDown says that a batch, or a part of it, found no broker.
var errBrokerDown = errors.New("broker unavailable")

// Run relays until ctx ends; what it holds then is settled first. It returns
// nil: whatever goes wrong is logged, and tried again after a delay.
func (r *Relay) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		woken := r.Wake.C() // before looking, so that no commit slips in between
		n, err := r.pass(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failures++
			delay := r.Backoff.Delay(failures)
			r.Log.WarnContext(ctx, "relay pass failed", "error", err, "failures", failures, "retry_in", delay)
			// Not woken early: each new commit would hammer what is down.
			wait(ctx, delay, nil)
		case n > 0:
			failures = 0
			r.poll.Store(int64(r.Config.PollMin))
		default:
			failures = 0
			wait(ctx, r.untilNextLook(ctx), woken)
		}
	}
	return nil
}

// untilNextLook lengthens the poll interval and returns it, or less when a
// parked entry is due before.
func (r *Relay) untilNextLook(ctx context.Context) time.Duration {
	longest := r.Config.PollMax
	if r.Hears != nil && !r.Hears() {
		longest = min(longest, pollUnheard)
	}
	interval := min(time.Duration(r.poll.Load()), longest)
	r.poll.Store(int64(min(time.Duration(float64(interval)*pollGrowth), longest)))
	due, err := r.Outbox.NextDue(ctx)
	if err != nil || due.IsZero() {
		return interval // an error shows in the next pass
	}
	return max(0, min(interval, due.Sub(r.Now())))
}

// pass claims, publishes and settles one batch and returns its size.
func (r *Relay) pass(ctx context.Context) (int, error) {
	entries, err := r.Outbox.Claim(ctx, r.Config.BatchSize)
	if err != nil {
		return 0, err
	}
	r.passed.Store(r.Now().UnixNano())
	if len(entries) == 0 {
		return 0, nil
	}
	settled, publishErr := r.publish(entries)
	// What was published is settled even while stopping: else it would be
	// published again.
	if err := r.Outbox.Settle(context.WithoutCancel(ctx), settled); err != nil {
		return 0, errors.Join(err, publishErr)
	}
	return len(entries), publishErr
}

// publish sends each topic's entries as one batch and sorts them by what
// became of them. Entries that found no broker are left as they are.
func (r *Relay) publish(entries []domain.OutboxEntry) (domain.Settlement, error) {
	settled := domain.Settlement{HoldBehindDead: r.Config.OnDead == domain.OnDeadBlock}
	var down error
	for _, batch := range byQueue(entries) {
		failed := r.publishBatch(batch)
		for _, e := range batch {
			failure, ok := failed[e.ID.String()]
			switch {
			case !ok:
				settled.Published = append(settled.Published, e)
			case failure.Failure == ports.Unavailable:
				down = fmt.Errorf("%w: %w", errBrokerDown, failure.Err)
			case failure.Failure == ports.Refused, e.Attempts+1 >= r.Config.MaxAttempts:
				r.Log.Error("outbox entry is dead", "entry", e.ID, "course", e.CourseID, "queue", e.Queue, "error", failure.Err)
				settled.Dead = append(settled.Dead, domain.FailedEntry{Entry: e, Reason: failure.Err.Error()})
			default:
				delay := r.Backoff.Delay(e.Attempts + 1)
				settled.Retry = append(settled.Retry, domain.FailedEntry{Entry: e, Reason: failure.Err.Error(), Delay: delay})
			}
		}
	}
	return settled, down
}

// publishBatch returns the failures of one topic's entries by message UUID.
func (r *Relay) publishBatch(batch []domain.OutboxEntry) map[string]ports.MessageError {
	msgs := make([]*message.Message, len(batch))
	for i, e := range batch {
		msgs[i] = newMessage(e)
	}
	err := r.Broker.Publish(string(batch[0].Queue), msgs...)
	var failed *ports.PublishError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		return failed.Failed
	default: // against the contract: nothing is known of any message
		return ports.NewPublishError(ports.Unavailable, err, msgs...).Failed
	}
}

// byQueue splits entries by topic and keeps their order.
func byQueue(entries []domain.OutboxEntry) [][]domain.OutboxEntry {
	index := map[domain.Queue]int{}
	var batches [][]domain.OutboxEntry
	for _, e := range entries {
		i, ok := index[e.Queue]
		if !ok {
			i = len(batches)
			index[e.Queue] = i
			batches = append(batches, nil)
		}
		batches[i] = append(batches[i], e)
	}
	return batches
}

// wait returns after d, or when ctx ends, or when woken is closed.
func wait(ctx context.Context, d time.Duration, woken <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-woken:
	}
}

// Alive reports whether the relay has reached the database lately.
func (r *Relay) Alive() bool {
	passed := time.Unix(0, r.passed.Load())
	return r.Now().Sub(passed) < r.Config.PollMax+stuckAfter
}

// PollInterval returns the present interval between looks at an idle outbox.
func (r *Relay) PollInterval() time.Duration { return time.Duration(r.poll.Load()) }
