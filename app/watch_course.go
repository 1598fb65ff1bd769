package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
)

const (
	// watchPage is how many events are read at a time.
	watchPage = 500
	// heardPoll is how much longer a watcher waits for what it is to hear of anyway.
	heardPoll = 5
)

// Watch sends a course's events with No > after, in order, as they come. It
// returns nil when the run has ended and all its events are sent, and send's
// error if there is one.
func (s *CourseService) Watch(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, after int64, send func(domain.Event) error,
) error {
	changed, stop := s.Signals.Events.Watch(courseID) // before looking, so that nothing slips in between
	defer stop()
	for ended := true; ; {
		// The state is read only when the run may have ended: at first, for all
		// events may have been seen, and after an event that says so, for a later
		// run may have begun. It is read before the events: when it ends the
		// run, all events of the run are there to be read.
		over := false
		if ended {
			course, err := s.Courses.Get(ctx, caller, courseID)
			if err != nil {
				return err
			}
			over = course.State.Terminal()
		}
		var err error
		if after, ended, err = s.sendEvents(ctx, caller, courseID, after, send); err != nil || over {
			return err
		}
		if ended {
			continue
		}
		wait(ctx, s.watchPoll(), changed)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// watchPoll is when to look for what nobody told of.
func (s *CourseService) watchPoll() time.Duration {
	if s.Hears() {
		return heardPoll * s.WatchPoll
	}
	return s.WatchPoll
}

// sendEvents sends what there is after an event. It returns the last No sent, and
// whether the last change of state among them ended a run.
func (s *CourseService) sendEvents(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, after int64, send func(domain.Event) error,
) (last int64, ended bool, err error) {
	for {
		events, err := s.Courses.Events(ctx, caller, courseID, after, watchPage)
		if err != nil {
			return after, ended, err
		}
		for _, e := range events {
			if err := send(e); err != nil {
				return after, ended, fmt.Errorf("send event %d: %w", e.No, err)
			}
			after = e.No
			if state := stateAfter(e); state != "" {
				ended = state.Terminal()
			}
		}
		if len(events) < watchPage {
			return after, ended, nil
		}
	}
}

// stateAfter is the state that an event brought its course to, or none.
func stateAfter(e domain.Event) domain.State {
	var data domain.EventData
	if err := json.Unmarshal(e.Data, &data); err != nil { // it was checked when it was read
		return ""
	}
	return data.To
}
