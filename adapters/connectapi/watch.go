package connectapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

// eventBatch is how many events are read at a time.
const eventBatch = 500

// errStopping ends streams when the server stops.
var errStopping = domain.Errorf(domain.ReasonUnavailable,
	"the server is stopping: call again, with the last event_no seen as after_event_no")

// serving is the time in which the server takes calls: ctx ends when the server
// begins to stop, ready when that is about to come, or has.
type serving struct{ ctx, ready context.Context }

// bind returns a context that also ends, with errStopping as its cause, when
// the server begins to stop.
func (s serving) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	release := context.AfterFunc(s.ctx, func() { cancel(errStopping) })
	return ctx, func() {
		release()
		cancel(nil)
	}
}

// endStreams breaks off what a caller sends when the server begins to stop, for
// streams that would else last as long as the caller likes.
func (s serving) endStreams(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := s.bind(r.Context())
		defer cancel()
		defer context.AfterFunc(ctx, func() { _ = r.Body.Close() })() // its reader sees that it is closed
		next.ServeHTTP(w, r)
	})
}

// WatchCourse implements lecternv1connect.CourseServiceHandler.
func (s courseService) WatchCourse(
	ctx context.Context, req *connect.Request[lecternv1.WatchCourseRequest], stream *connect.ServerStream[lecternv1.WatchCourseResponse],
) error {
	id, err := parseID("course_id", req.Msg.GetCourseId())
	if err != nil {
		return err
	}
	progress, err := s.progress(ctx, id, req.Msg.GetAfterEventNo())
	if err != nil {
		return err
	}
	send := func(e domain.Event) error {
		event, err := eventToProto(e)
		if err != nil {
			return err
		}
		progress = progress.After(e)
		return stream.Send(&lecternv1.WatchCourseResponse{Event: event, Progress: progressToProto(progress)})
	}
	if req.Msg.GetSnapshotOnly() {
		return s.eachEvent(ctx, id, req.Msg.GetAfterEventNo(), math.MaxInt64, send)
	}
	ctx, cancel := s.serving.bind(ctx)
	defer cancel()
	// The headers go out at once: the first event may be long in coming.
	if err := stream.Send(nil); err != nil {
		return fmt.Errorf("begin stream: %w", err)
	}
	err = s.courses.Watch(ctx, caller(ctx), id, req.Msg.GetAfterEventNo(), send)
	if err != nil && errors.Is(context.Cause(ctx), errStopping) {
		return errStopping
	}
	return err
}

// progress is how far a course's run had come with an event.
func (s courseService) progress(ctx context.Context, id uuid.UUID, upto int64) (domain.Progress, error) {
	var progress domain.Progress
	err := s.eachEvent(ctx, id, 0, upto, func(e domain.Event) error {
		progress = progress.After(e)
		return nil
	})
	return progress, err
}

// eachEvent hands over the events that there are, after one up to another.
func (s courseService) eachEvent(ctx context.Context, id uuid.UUID, after, upto int64, see func(domain.Event) error) error {
	for after < upto {
		limit := int(min(eventBatch, upto-after))
		events, err := s.courses.Events(ctx, caller(ctx), id, after, limit)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		for _, e := range events {
			if err := see(e); err != nil {
				return fmt.Errorf("send event: %w", err)
			}
			after = e.No
		}
		if len(events) < limit {
			return nil
		}
	}
	return nil
}
