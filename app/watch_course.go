package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
)

// watchPage is how many events are read at a time.
const watchPage = 500

// Watch sends a course's events with No > after, in order, as they come. It
// returns nil when the run has ended and all its events are sent, and send's
// error if there is one.
func (s *CourseService) Watch(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, after int64, send func(domain.Event) error,
) error {
	poll := time.NewTicker(s.WatchPoll)
	defer poll.Stop()
	for {
		changed := s.Signals.Events.C() // before looking, so that nothing slips in between
		course, err := s.Courses.Get(ctx, caller, courseID)
		if err != nil {
			return err
		}
		// The state was read first: when it ends the run, all events of the run
		// are there to be read.
		if after, err = s.sendEvents(ctx, caller, courseID, after, send); err != nil || course.State.Terminal() {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-poll.C:
		}
	}
}

// sendEvents sends what there is after an event and returns the last No sent.
func (s *CourseService) sendEvents(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, after int64, send func(domain.Event) error,
) (int64, error) {
	for {
		events, err := s.Courses.Events(ctx, caller, courseID, after, watchPage)
		if err != nil {
			return after, err
		}
		for _, e := range events {
			if err := send(e); err != nil {
				return after, fmt.Errorf("send event %d: %w", e.No, err)
			}
			after = e.No
		}
		if len(events) < watchPage {
			return after, nil
		}
	}
}
