package connectapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/domain"
)

// watch collects the numbers of a course's events until the stream ends.
func watch(t *testing.T, c lecternv1connect.CourseServiceClient, r *lecternv1.WatchCourseRequest) ([]*lecternv1.Event, error) {
	t.Helper()
	stream, err := c.WatchCourse(t.Context(), connect.NewRequest(r))
	require.NoError(t, err)
	defer func() { require.NoError(t, stream.Close()) }()
	var events []*lecternv1.Event
	for stream.Receive() {
		events = append(events, stream.Msg().GetEvent())
	}
	return events, stream.Err()
}

func TestWatchCourseSendsEventsFromWhereTheCallerLeftOff(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	for name, c := range clients(t, connectapi.Config{Courses: fakeCourses{
		watch: func(_ context.Context, caller domain.Identity, courseID uuid.UUID, after int64, send func(domain.Event) error) error {
			assert.Equal(t, []any{me(), id}, []any{caller, courseID})
			for no := after + 1; no <= 5; no++ {
				if err := send(domain.Event{No: no, CourseID: id}); err != nil {
					return err
				}
			}
			return nil
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			events, err := watch(t, c, &lecternv1.WatchCourseRequest{CourseId: id.String(), AfterEventNo: 3})
			require.NoError(t, err)
			require.Len(t, events, 2)
			require.EqualValues(t, 4, events[0].GetEventNo())
			require.EqualValues(t, 5, events[1].GetEventNo())
		})
	}
}

func TestAnEventKeepsAllItSays(t *testing.T) {
	t.Parallel()
	id, eventID, job, doc, user := uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New()
	data, err := json.Marshal(domain.EventData{
		From: domain.StatePending, To: domain.StateStage2Init, Version: 2, Run: 3, OutboxID: &job,
		Queue: domain.QueueDocumentProcessing, DocumentID: &doc, Document: "a.pdf", Attempt: 4, Reason: "because",
	})
	require.NoError(t, err)
	withExtra := json.RawMessage(strings.TrimSuffix(string(data), "}") + `,"metadata":{"who":"cli"}}`)
	c := client(t, start(t, connectapi.Config{Courses: fakeCourses{
		events: func(context.Context, domain.Identity, uuid.UUID, int64, int) ([]domain.Event, error) {
			return []domain.Event{
				{
					ID: eventID, CourseID: id, No: 1, Type: domain.EventStateTransitioned, Data: withExtra,
					CreatedAt: noon(), CreatedBy: domain.ActorQueue, UserID: &user,
				},
				{No: 2, Type: domain.EventErrorOccurred, Data: json.RawMessage(`{}`)},
			}, nil
		},
	}}).url)
	events, err := watch(t, c, &lecternv1.WatchCourseRequest{CourseId: id.String(), SnapshotOnly: true})
	require.NoError(t, err)
	require.Len(t, events, 2)
	full, bare := events[0], events[1]

	require.Equal(t, eventID.String(), full.GetEventId())
	require.Equal(t, id.String(), full.GetEntityId())
	require.Equal(t, lecternv1.EventType_EVENT_TYPE_STATE_TRANSITIONED, full.GetEventType())
	require.Equal(t, noon(), full.GetCreatedAt().AsTime())
	require.Equal(t, lecternv1.Actor_ACTOR_QUEUE, full.GetCreatedBy())
	require.Equal(t, user.String(), full.GetUserId())
	d := full.GetEventData()
	require.Equal(t, lecternv1.State_STATE_PENDING, d.GetFrom())
	require.Equal(t, lecternv1.State_STATE_STAGE_2_INIT, d.GetTo())
	require.EqualValues(t, 2, d.GetVersion())
	require.EqualValues(t, 3, d.GetRun())
	require.Equal(t, job.String(), d.GetOutboxId())
	require.Equal(t, lecternv1.Queue_QUEUE_DOCUMENT_PROCESSING, d.GetQueue())
	require.Equal(t, doc.String(), d.GetDocumentId())
	require.Equal(t, "a.pdf", d.GetDocument())
	require.EqualValues(t, 4, d.GetAttempt())
	require.Equal(t, "because", d.GetReason())
	require.Equal(t, map[string]any{"metadata": map[string]any{"who": "cli"}}, d.GetExtra().AsMap())

	require.Nil(t, bare.UserId, "no user caused it")
	require.Nil(t, bare.GetEventData().GetExtra())
}

// A field of the domain's event data that the message lacks would show up as
// extra, and nobody would look for it there.
func TestTheMessageHasEveryFieldOfEventData(t *testing.T) {
	t.Parallel()
	fields := (&lecternv1.EventData{}).ProtoReflect().Descriptor().Fields()
	for f := range reflect.TypeFor[domain.EventData]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		require.NotNil(t, fields.ByTextName(name), "EventData lacks %s", name)
	}
}

func TestASnapshotHasAllEventsAndEnds(t *testing.T) {
	t.Parallel()
	const all = 1203 // more than two batches
	c := client(t, start(t, connectapi.Config{Courses: fakeCourses{
		events: func(_ context.Context, _ domain.Identity, _ uuid.UUID, after int64, limit int) ([]domain.Event, error) {
			var batch []domain.Event
			for no := after + 1; no <= all && len(batch) < limit; no++ {
				batch = append(batch, domain.Event{No: no})
			}
			return batch, nil
		},
	}}).url)
	events, err := watch(t, c, &lecternv1.WatchCourseRequest{CourseId: uuid.NewString(), AfterEventNo: 3, SnapshotOnly: true})
	require.NoError(t, err)
	require.Len(t, events, all-3)
	for i, e := range events {
		require.EqualValues(t, i+4, e.GetEventNo())
	}
}

// Whoever goes on after an event is told the same as who saw all of them.
func TestProgressComesWithEachEventAndWithTheCourse(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	var history []domain.Event
	for i, state := range []domain.State{domain.StateStage4Init, domain.StateStage4Analyzing, domain.StateStage4Complete, domain.StateStage5Init} {
		data, err := json.Marshal(domain.EventData{To: state})
		require.NoError(t, err)
		history = append(history, domain.Event{No: int64(i + 1), CourseID: id, Type: domain.EventStateTransitioned, Data: data})
	}
	c := client(t, start(t, connectapi.Config{Courses: fakeCourses{
		get: func(context.Context, domain.Identity, uuid.UUID) (domain.Course, []domain.Document, error) {
			return domain.Course{ID: id}, nil, nil
		},
		events: func(_ context.Context, _ domain.Identity, _ uuid.UUID, after int64, limit int) ([]domain.Event, error) {
			events := history[after:]
			return events[:min(limit, len(events))], nil
		},
		watch: func(_ context.Context, _ domain.Identity, _ uuid.UUID, after int64, send func(domain.Event) error) error {
			for _, e := range history[after:] {
				if err := send(e); err != nil {
					return err
				}
			}
			return nil
		},
	}}).url)
	want := []string{"0 Waiting for a worker: planning the course", "3 Planning the course", "33 The course is planned", "33 Waiting for a worker: writing the course"}
	for _, snapshot := range []bool{false, true} {
		for after := range int64(4) {
			stream, err := c.WatchCourse(t.Context(), connect.NewRequest(&lecternv1.WatchCourseRequest{
				CourseId: id.String(), AfterEventNo: after, SnapshotOnly: snapshot,
			}))
			require.NoError(t, err)
			var got []string
			for stream.Receive() {
				p := stream.Msg().GetProgress()
				got = append(got, fmt.Sprint(p.GetPercent(), " ", p.GetWords()))
			}
			require.NoError(t, stream.Err())
			require.NoError(t, stream.Close())
			require.Equal(t, want[after:], got)
		}
	}
	got, err := c.GetCourse(t.Context(), connect.NewRequest(&lecternv1.GetCourseRequest{CourseId: id.String()}))
	require.NoError(t, err)
	require.Equal(t, want[3], fmt.Sprint(got.Msg.GetProgress().GetPercent(), " ", got.Msg.GetProgress().GetWords()))
}

func TestAWatchThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t, connectapi.Config{Courses: fakeCourses{
		watch: func(_ context.Context, _ domain.Identity, _ uuid.UUID, after int64, _ func(domain.Event) error) error {
			if after > 0 {
				return errors.New("secret")
			}
			return domain.Errorf(domain.ReasonCourseNotFound, "no such course")
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			_, err := watch(t, c, &lecternv1.WatchCourseRequest{CourseId: uuid.NewString()})
			requireReason(t, err, connect.CodeNotFound, "COURSE_NOT_FOUND", "")
			_, err = watch(t, c, &lecternv1.WatchCourseRequest{CourseId: uuid.NewString(), AfterEventNo: 1})
			requireReason(t, err, connect.CodeInternal, "INTERNAL", "")
		})
	}
}

// untilDone is a watch of a course on which nothing happens.
func untilDone(ended chan<- error) fakeCourses {
	return fakeCourses{watch: func(ctx context.Context, _ domain.Identity, _ uuid.UUID, _ int64, send func(domain.Event) error) error {
		if err := send(domain.Event{No: 1}); err != nil {
			return err
		}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return ctx.Err()
	}}
}

func TestAStoppingServerEndsWatchesAndSaysSo(t *testing.T) {
	t.Parallel()
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			server := start(t, connectapi.Config{Courses: untilDone(make(chan error, 1))})
			stream, err := p.client(t, server.url).WatchCourse(t.Context(), connect.NewRequest(&lecternv1.WatchCourseRequest{CourseId: uuid.NewString()}))
			require.NoError(t, err)
			require.True(t, stream.Receive(), "%v", stream.Err())
			require.NoError(t, server.Shutdown(t.Context()))
			require.False(t, stream.Receive())
			requireReason(t, stream.Err(), connect.CodeUnavailable, "UNAVAILABLE", "")
			require.ErrorContains(t, stream.Err(), "after_event_no")
			require.NoError(t, stream.Close())
		})
	}
}

func TestAWatchEndsWhenItsCallerLeaves(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	server := start(t, connectapi.Config{Courses: untilDone(ended)})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	stream, err := protocols()[1].client(t, server.url).WatchCourse(ctx, connect.NewRequest(&lecternv1.WatchCourseRequest{CourseId: uuid.NewString()}))
	require.NoError(t, err)
	require.True(t, stream.Receive(), "%v", stream.Err())
	leave()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.False(t, stream.Receive())
	require.NoError(t, stream.Close())
}
