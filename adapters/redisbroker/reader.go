package redisbroker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// lookEvery is the longest time between two looks at what is due, and the
	// longest wait for what is new.
	lookEvery = time.Second
	// shortestBlock is the shortest wait for what is new, however short delays are.
	shortestBlock = 10 * time.Millisecond
	// pageSize is how many pending entries are listed at once.
	pageSize = 1000
)

// reader takes entries for a consumer: those that were given back before those
// that are new, so that first deliveries keep their order, and those that are due
// again in turns with the new, so that neither hold up the others.
//
// It is the only one to take any, in one goroutine, and by connections of its
// own: they are closed to end a wait.
type reader struct {
	pending
	opts Options
	log  *slog.Logger
	hold *holdings

	recovering bool // we may own entries that we don't know of: an answer was lost
	newFirst   bool // entries that were due had all the room
}

// run takes entries whenever there is room, until the end of ctx.
func (r *reader) run(ctx context.Context) {
	failures := pace{}
	for room := r.hold.room(ctx); room > 0; room = r.hold.room(ctx) {
		err := r.take(ctx, room)
		if err == nil {
			failures.reset()
			continue
		}
		r.recovering = true
		if ctx.Err() == nil && failures.first() {
			r.log.Warn("Broker not read, trying again", "error", err)
		}
		failures.wait(ctx)
	}
}

func (r *reader) take(ctx context.Context, room int) error {
	calls, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	left := room
	for _, take := range []func(context.Context, int) (int, error){r.takeOwn, r.takeReturned, r.takeDue} {
		if left == 0 {
			return nil
		}
		n, err := take(calls, left)
		if err != nil {
			return err
		}
		left -= n
	}
	r.newFirst = left == 0
	if left == 0 {
		return nil
	}
	return r.takeNew(ctx, left, left < room)
}

// takeOwn takes what is ours without our knowing.
func (r *reader) takeOwn(ctx context.Context, room int) (int, error) {
	if !r.recovering {
		return 0, nil
	}
	moves, err := r.collect(ctx, r.me, 0, room, func(e redis.XPendingExt) (move, bool) {
		return move{id: e.ID, from: r.me, was: e.RetryCount, count: e.RetryCount}, true
	})
	if err != nil {
		return 0, err
	}
	n, err := r.claim(ctx, 0, moves)
	r.recovering = err != nil || len(moves) == room
	return n, err
}

// takeReturned takes what was given back without being handed out.
func (r *reader) takeReturned(ctx context.Context, room int) (int, error) {
	if !r.hold.someReturned(false) {
		return 0, nil
	}
	moves, err := r.collect(ctx, returnedConsumer, 0, room, func(e redis.XPendingExt) (move, bool) {
		return move{id: e.ID, from: returnedConsumer, was: e.RetryCount, count: e.RetryCount + 1}, true
	})
	n := 0
	if err == nil {
		n, err = r.claim(ctx, 0, moves)
	}
	if err != nil || len(moves) == room {
		r.hold.someReturned(true) // still
	}
	return n, err
}

// takeDue takes, when it is time for a look, what was nacked and whose delay is
// over, and what a consumer had that died.
func (r *reader) takeDue(ctx context.Context, room int) (int, error) {
	if r.newFirst || !r.hold.startLook(time.Now().Add(min(lookEvery, r.opts.Lease/3))) {
		return 0, nil
	}
	r.hold.someReturned(true) // a consumer that closed may have
	n, err := r.takeDelayed(ctx, room)
	if err == nil && n < room {
		var dead int
		dead, err = r.takeOfTheDead(ctx, room-n)
		n += dead
	}
	if err != nil || n == room {
		r.hold.lookBy(time.Now())
	}
	return n, err
}

func (r *reader) takeDelayed(ctx context.Context, room int) (int, error) {
	moves, err := r.collect(ctx, delayedConsumer, 0, room, func(e redis.XPendingExt) (move, bool) {
		if wait := r.opts.delay(e.RetryCount) - e.Idle; wait > 0 {
			r.hold.lookBy(time.Now().Add(wait))
			return move{}, false
		}
		return move{id: e.ID, from: delayedConsumer, was: e.RetryCount, count: e.RetryCount + 1}, true
	})
	if err != nil {
		return 0, err
	}
	return r.claim(ctx, r.opts.RetryDelay, moves) // it might have been nacked once more meanwhile
}

// takeOfTheDead counts as handed out what a consumer had taken in advance.
func (r *reader) takeOfTheDead(ctx context.Context, room int) (int, error) {
	moves, err := r.collect(ctx, "", r.opts.Lease, room, func(e redis.XPendingExt) (move, bool) {
		m := move{id: e.ID, from: e.Consumer, was: e.RetryCount, count: e.RetryCount + 1}
		if r.opts.givesUp(e.RetryCount) {
			m.lost = fmt.Sprintf("handed out %d times and never settled", e.RetryCount)
		}
		return m, e.Consumer != delayedConsumer && e.Consumer != returnedConsumer
	})
	if err != nil {
		return 0, err
	}
	return r.claim(ctx, r.opts.Lease, moves)
}

// collect lists a consumer's entries, page by page, until it has room of those
// that are picked. It leaves alone what we hold, or have settled without hearing
// that the server knows: told again, that must not meet a later delivery of ours.
func (r *reader) collect(
	ctx context.Context, consumer string, idle time.Duration, room int, pick func(redis.XPendingExt) (move, bool),
) ([]move, error) {
	var moves []move
	for after, n := "", max(room, pageSize); ; {
		page, err := r.list(ctx, consumer, idle, after, n)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if m, ok := pick(e); ok && !r.hold.has(e.ID) {
				moves = append(moves, m)
			}
			if len(moves) == room {
				return moves, nil
			}
			after = e.ID
		}
		if len(page) < n {
			return moves, nil
		}
	}
}

// claim makes entries ours and ready, and returns how many. What is no more was
// trimmed by somebody.
func (r *reader) claim(ctx context.Context, minIdle time.Duration, moves []move) (int, error) {
	ids, err := r.move(ctx, r.me, minIdle, 0, moves)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	entries, err := r.fetch(ctx, ids)
	if err != nil {
		return 0, err
	}
	there := make(map[string]map[string]any, len(entries))
	for _, e := range entries {
		there[e.ID] = e.Values
	}
	claimed := make(map[string]bool, len(ids))
	for _, id := range ids {
		claimed[id] = true
	}
	var ds []*delivery
	var gone []string
	for _, m := range moves {
		values, found := there[m.id]
		switch {
		case found:
			ds = append(ds, &delivery{id: m.id, values: values, count: m.count, lost: m.lost})
		case claimed[m.id]:
			gone = append(gone, m.id)
		}
	}
	r.hold.add(ds)
	if len(gone) > 0 {
		r.log.Warn("Messages lost, somebody has trimmed or deleted them before they were settled", "entries", gone)
		return len(ds), r.ack(ctx, gone...)
	}
	return len(ds), nil
}

// takeNew takes what nobody was given. If nothing else was taken it waits for it.
func (r *reader) takeNew(ctx context.Context, room int, took bool) error {
	block := min(r.hold.untilLook(), max(r.opts.RetryDelay, shortestBlock))
	if took || block < time.Millisecond {
		block = -1
	}
	ctx, cancel := context.WithTimeout(ctx, max(block, 0)+r.opts.Timeout)
	defer cancel()
	entries, err := r.readNew(ctx, room, block)
	if err != nil {
		return err
	}
	ds := make([]*delivery, len(entries))
	for i, e := range entries {
		ds[i] = &delivery{id: e.ID, values: e.Values, count: 1}
	}
	r.hold.add(ds)
	return nil
}

// pace is the pause after failures: none after the first success, then longer
// and longer.
type pace struct{ pause time.Duration }

const (
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

func (p *pace) reset() { p.pause = 0 }

// first tells whether this failure is the first in a row.
func (p *pace) first() bool { return p.pause == 0 }

func (p *pace) wait(ctx context.Context) {
	p.pause = min(cmp.Or(p.pause*3/2, firstPause), longestPause)
	timer := time.NewTimer(p.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
