package redisbroker

import (
	"context"
	"time"
)

const (
	// surplusPatience is how long an entry waits that was taken in advance,
	// before it is given back.
	surplusPatience = time.Second
	// forgetEvery is the time between two looks for dead consumers' names.
	forgetEvery = time.Minute
)

// keep does what is to be done from time to time, until working ends.
func (s *subscription) keep() {
	ticker := time.NewTicker(min(lookEvery, s.opts.Lease/3) / 2) // so that what is due at a tick is never late by a whole turn
	defer ticker.Stop()
	chores := []*chore{
		{every: s.opts.Lease / 3, do: s.renew, fails: "Leases not extended, what is in hand may come again"},
		{every: lookEvery, do: s.trim, fails: "Stream not trimmed, it grows"},
		{every: forgetEvery, do: s.forget, fails: "Names of dead consumers not deleted"},
	}
	for {
		select {
		case now := <-ticker.C:
			s.hold.giveBackSurplus(surplusPatience)
			for _, c := range chores {
				c.run(s, now)
			}
		case <-s.working.Done():
			return
		}
	}
}

// chore is work that is done once in a while.
type chore struct {
	every   time.Duration
	do      func(context.Context) error
	fails   string
	last    time.Time
	failing bool
}

func (c *chore) run(s *subscription, now time.Time) {
	if now.Sub(c.last) < c.every {
		return
	}
	c.last = now
	ctx, cancel := context.WithTimeout(s.working, min(s.opts.Timeout, max(s.opts.Lease/3, 100*time.Millisecond)))
	defer cancel()
	err := c.do(ctx)
	if err != nil && !c.failing && s.working.Err() == nil {
		s.log.Warn(c.fails, "error", err)
	}
	c.failing = err != nil
}

// renew keeps the leases of all that is held from ending. What others have
// claimed meanwhile stays theirs.
func (s *subscription) renew(ctx context.Context) error {
	held := s.hold.held()
	moves := make([]move, len(held))
	for i, d := range held {
		moves[i] = move{id: d.id, from: s.me, was: d.count, count: d.count}
	}
	_, err := s.move(ctx, s.me, 0, 0, moves)
	return err
}

func (s *subscription) forget(ctx context.Context) error {
	return s.forgetTheDead(ctx, s.opts.Lease)
}

func (s *subscription) trim(ctx context.Context) error {
	if !s.hold.someStored() {
		return nil
	}
	return trim(ctx, s.client, s.stream)
}
