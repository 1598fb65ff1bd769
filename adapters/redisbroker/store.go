package redisbroker

import (
	"context"
	"errors"
	"time"

	"lectern/ports"
)

// store tells the server what came of messages, until working ends: all that has
// gathered meanwhile at once, and so a lone acknowledgement without delay. It
// returns the error of its last attempt.
func (s *subscription) store() error {
	failures := pace{}
	for {
		select {
		case <-s.hold.hasOutcome:
		case <-s.working.Done():
			return nil
		}
		for err := s.storeOutcomes(); err != nil; err = s.storeOutcomes() {
			if failures.first() {
				s.log.Warn("Outcomes of messages not stored, trying again", "error", err)
			}
			if failures.wait(s.working); s.working.Err() != nil {
				return err
			}
		}
		failures.reset()
	}
}

// storeOutcomes stores what has gathered. What can't be stored now stays; what
// the server refuses comes again after the lease.
func (s *subscription) storeOutcomes() error {
	outcomes := s.hold.takeOutcomes()
	if len(outcomes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	var errs []error
	for _, part := range []struct {
		of    []settled
		store func(context.Context, []settled) error
	}{
		{only(outcomes, isAcked), s.storeAcks},
		{only(outcomes, isNacked), s.storeNacks},
		{only(outcomes, isReturned), s.storeReturned},
		{only(outcomes, isGivenBack), s.storeGivenBack},
	} {
		if len(part.of) == 0 {
			continue
		}
		err := part.store(ctx, part.of)
		if err != nil && classify(err) == ports.Unavailable {
			s.hold.putBackOutcomes(part.of)
			errs = append(errs, err)
			continue
		}
		if err != nil {
			s.log.Warn("Outcomes of messages refused, they may come again", "error", err)
		}
		s.hold.stored(part.of)
		s.lookForNacked(part.of)
	}
	return errors.Join(errs...)
}

// lookForNacked has the next look be by the end of the delays that have begun.
func (s *subscription) lookForNacked(stored []settled) {
	for _, n := range only(stored, isNacked) {
		s.hold.lookBy(time.Now().Add(s.opts.delay(n.count)))
	}
}

func isAcked(o settled) bool     { return o.outcome == acked }
func isNacked(o settled) bool    { return o.outcome == nacked }
func isReturned(o settled) bool  { return o.outcome == givenBack && o.count == 1 }
func isGivenBack(o settled) bool { return o.outcome == givenBack && o.count > 1 }

func only(all []settled, is func(settled) bool) []settled {
	var some []settled
	for _, o := range all {
		if is(o) {
			some = append(some, o)
		}
	}
	return some
}

func (s *subscription) storeAcks(ctx context.Context, acks []settled) error {
	ids := make([]string, len(acks))
	for i, a := range acks {
		ids[i] = a.id
	}
	return s.ack(ctx, ids...)
}

func (s *subscription) storeNacks(ctx context.Context, nacks []settled) error {
	_, err := s.move(ctx, delayedConsumer, 0, 0, s.moves(nacks, 0))
	return err
}

// storeReturned stores what is as fresh as before.
func (s *subscription) storeReturned(ctx context.Context, returned []settled) error {
	_, err := s.move(ctx, returnedConsumer, 0, 0, s.moves(returned, -1))
	return err
}

// storeGivenBack stores what is due again at once.
func (s *subscription) storeGivenBack(ctx context.Context, givenBack []settled) error {
	_, err := s.move(ctx, delayedConsumer, 0, 2*s.opts.RetryDelayMax, s.moves(givenBack, -1))
	return err
}

func (s *subscription) moves(of []settled, uncounted int64) []move {
	moves := make([]move, len(of))
	for i, o := range of {
		moves[i] = move{id: o.id, from: s.me, was: o.count, count: o.count + uncounted}
	}
	return moves
}

// leave tells the server of the last outcomes, gives back what was taken without
// our knowing, and deletes the consumer's name. It tries once, and not at all
// when storing has failed until now.
func (s *subscription) leave(err error) {
	if err == nil {
		err = s.storeOutcomes()
	}
	if err == nil {
		err = s.returnRest()
	}
	if err != nil {
		s.log.Warn("Consumer left without a word, what it had may come again after its lease", "error", err)
	}
}

func (s *subscription) returnRest() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	for {
		rest, err := s.list(ctx, s.me, 0, "", pageSize)
		if err != nil {
			return err
		}
		if len(rest) == 0 {
			return s.pending.leave(ctx, s.me)
		}
		moves := make([]move, len(rest))
		for i, e := range rest {
			moves[i] = move{id: e.ID, from: s.me, was: e.RetryCount, count: e.RetryCount - 1}
		}
		if _, err := s.move(ctx, returnedConsumer, 0, 0, moves); err != nil {
			return err
		}
	}
}
