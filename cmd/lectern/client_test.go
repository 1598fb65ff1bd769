package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/configs"
	"lectern/domain"
)

// fakeServer answers as a server would, and notes what it was asked.
type fakeServer struct {
	lecternv1connect.UnimplementedCourseServiceHandler
	calls       []string
	uploadError error
	breaks      int // times that watching breaks off after one event
	cuts        int // times that its connection does
	events      []*lecternv1.Event
	course      *lecternv1.Course
	documents   []*lecternv1.Document
}

const courseID = "0199c0de-0000-7000-8000-000000000001"

func (f *fakeServer) CreateCourse(_ context.Context, r *connect.Request[lecternv1.CreateCourseRequest]) (*connect.Response[lecternv1.CreateCourseResponse], error) {
	f.calls = append(f.calls, "create "+r.Msg.GetTitle()+" "+r.Msg.GetIdempotencyKey())
	return connect.NewResponse(&lecternv1.CreateCourseResponse{Course: &lecternv1.Course{CourseId: courseID}}), nil
}

func (f *fakeServer) UploadDocument(_ context.Context, r *connect.Request[lecternv1.UploadDocumentRequest]) (*connect.Response[lecternv1.UploadDocumentResponse], error) {
	f.calls = append(f.calls, "upload "+r.Msg.GetName())
	return connect.NewResponse(&lecternv1.UploadDocumentResponse{}), f.uploadError
}

func (f *fakeServer) InitiateGeneration(_ context.Context, r *connect.Request[lecternv1.InitiateGenerationRequest]) (*connect.Response[lecternv1.InitiateGenerationResponse], error) {
	f.calls = append(f.calls, "start "+r.Msg.GetIdempotencyKey())
	return connect.NewResponse(&lecternv1.InitiateGenerationResponse{}), nil
}

func (f *fakeServer) CancelGeneration(_ context.Context, r *connect.Request[lecternv1.CancelGenerationRequest]) (*connect.Response[lecternv1.CancelGenerationResponse], error) {
	f.calls = append(f.calls, "cancel "+r.Msg.GetIdempotencyKey())
	return connect.NewResponse(&lecternv1.CancelGenerationResponse{}), nil
}

func (f *fakeServer) GetCourse(context.Context, *connect.Request[lecternv1.GetCourseRequest]) (*connect.Response[lecternv1.GetCourseResponse], error) {
	return connect.NewResponse(&lecternv1.GetCourseResponse{
		Course: f.course, Documents: f.documents, Progress: &lecternv1.Progress{Percent: 50, Words: "On its way"},
	}), nil
}

func (f *fakeServer) WatchCourse(
	_ context.Context, r *connect.Request[lecternv1.WatchCourseRequest], stream *connect.ServerStream[lecternv1.WatchCourseResponse],
) error {
	for _, e := range f.events {
		if e.GetEventNo() <= r.Msg.GetAfterEventNo() {
			continue
		}
		progress := &lecternv1.Progress{Percent: int32(10 * e.GetEventNo()), Words: "On its way"}
		if err := stream.Send(&lecternv1.WatchCourseResponse{Event: e, Progress: progress}); err != nil {
			return err
		}
		if f.cuts > 0 {
			f.cuts--
			panic(http.ErrAbortHandler)
		}
		if f.breaks > 0 {
			f.breaks--
			return connect.NewError(connect.CodeUnavailable, errors.New("stopping"))
		}
	}
	return nil
}

func start(t *testing.T, f *fakeServer) (client, string) {
	t.Helper()
	_, handler := lecternv1connect.NewCourseServiceHandler(f)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := newClient(server.URL)
	require.NoError(t, err)
	return c, server.URL
}

func event(no int64, kind lecternv1.EventType, data *lecternv1.EventData) *lecternv1.Event {
	return &lecternv1.Event{EventNo: no, EventType: kind, EventData: data}
}

func TestWatchingGoesOnAfterTheLastEventSeen(t *testing.T) {
	t.Parallel()
	f := &fakeServer{breaks: 1, cuts: 1}
	for no := range int64(4) {
		f.events = append(f.events, event(no+1, lecternv1.EventType_EVENT_TYPE_JOB_CREATED, nil))
	}
	c, _ := start(t, f)
	var seen []int64
	require.NoError(t, c.watch(t.Context(), courseID, 0, func(r *lecternv1.WatchCourseResponse) {
		seen = append(seen, r.GetEvent().GetEventNo())
	}))
	require.Equal(t, []int64{1, 2, 3, 4}, seen)
}

func TestWatchedEventsArePrintedAsLinesAndAsJSON(t *testing.T) {
	t.Parallel()
	f := &fakeServer{
		course: &lecternv1.Course{CourseId: courseID, State: lecternv1.State_STATE_COMPLETED},
		events: []*lecternv1.Event{
			event(1, lecternv1.EventType_EVENT_TYPE_FSM_INITIALIZED, &lecternv1.EventData{To: lecternv1.State_STATE_STAGE_4_INIT, Version: 1}),
			event(2, lecternv1.EventType_EVENT_TYPE_JOB_FAILED, &lecternv1.EventData{Reason: "<no \x1broom>"}),
		},
	}
	_, url := start(t, f)
	got := lectern(t, nil, "watch", courseID, "--server", url)
	require.Zero(t, got.code, got.stderr)
	lines := strings.Split(got.stdout, "\n")
	require.Len(t, lines, 3)
	require.Regexp(t, `^   1  \d\d:\d\d:\d\d\.\d{3}   10%  On its way  \[FSM_INITIALIZED .*-> stage_4_init \(version 1\)\]$`, lines[0])
	require.Regexp(t, `^   2  .*   20%  On its way  \[JOB_FAILED <no .?room>\]$`, lines[1])
	require.NotContains(t, got.stdout, "\x1b")

	got = lectern(t, nil, "watch", courseID, "--after", "1", "--json", "--server", url)
	require.Zero(t, got.code, got.stderr)
	require.JSONEq(t, `{"event_no": 2, "event_type": "JOB_FAILED", "created_at": "1970-01-01T00:00:00Z", "created_by": "UNSPECIFIED",
		"event_data": {"reason": "<no \u001broom>"}, "percent": 20, "words": "On its way"}`, got.stdout)

	f.course.State = lecternv1.State_STATE_FAILED
	got = lectern(t, nil, "watch", courseID, "--server", url)
	require.Equal(t, exitFailure, got.code)
	require.Contains(t, got.stderr, "is failed: On its way")
	require.Contains(t, got.stderr, "show "+courseID+" --events --server "+url)
	got = lectern(t, nil, "watch", courseID, "--after", "-1", "--server", url)
	require.Equal(t, exitInput, got.code)
}

func TestARefusedUploadTakesTheCourseBack(t *testing.T) {
	t.Parallel()
	f := &fakeServer{uploadError: connect.NewError(connect.CodeInvalidArgument, errors.New("it is encrypted"))}
	_, url := start(t, f)
	file := filepath.Join(t.TempDir(), "notes.md")
	require.NoError(t, os.WriteFile(file, []byte("# Notes\n\nText.\n"), 0o600))

	got := lectern(t, nil, "generate", "--title", "T", "--server", url, file)

	require.Equal(t, exitInput, got.code)
	require.Empty(t, got.stdout)
	require.Equal(t, "lectern: upload "+file+": it is encrypted\n", got.stderr)
	require.Len(t, f.calls, 3)
	require.Equal(t, "upload notes.md", f.calls[1])
	require.Contains(t, f.calls[2], "cancel ")
}

func TestGenerateDrivesAServerAndPrintsTheCourseAlone(t *testing.T) {
	t.Parallel()
	queue := lecternv1.Queue_QUEUE_DOCUMENT_PROCESSING
	f := &fakeServer{
		events: []*lecternv1.Event{
			event(1, lecternv1.EventType_EVENT_TYPE_JOB_CREATED, &lecternv1.EventData{Queue: queue}),
			event(2, lecternv1.EventType_EVENT_TYPE_JOB_FAILED, &lecternv1.EventData{Queue: queue, Reason: "the disk was away"}),
			event(3, lecternv1.EventType_EVENT_TYPE_JOB_CREATED, &lecternv1.EventData{Queue: queue}),
			event(4, lecternv1.EventType_EVENT_TYPE_JOB_COMPLETED, &lecternv1.EventData{Queue: queue}),
		},
		course: &lecternv1.Course{
			CourseId: courseID, State: lecternv1.State_STATE_COMPLETED, Structure: connectapi.StructureToProto(course("ru")),
		},
		documents: []*lecternv1.Document{
			{Name: "bad.pdf", Status: lecternv1.DocumentStatus_DOCUMENT_STATUS_FAILED, Error: "there is no text in it"},
		},
	}
	_, url := start(t, f)

	got := lectern(t, nil, "generate", "--title", "T", "--format", "json", "--server", url)

	require.Zero(t, got.code)
	var structure domain.Structure
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &structure))
	require.Equal(t, course("ru").Title, structure.Title)
	require.Equal(t, "read documents: attempt 1 failed: the disk was away\n"+
		"read documents: 1/1\n"+
		"Not read: bad.pdf: there is no text in it\n"+
		"Course "+courseID+" is complete.\n"+
		"  its events:   lectern show "+courseID+" --events --server "+url+"\n"+
		"  as Markdown:  lectern show "+courseID+" --format markdown --server "+url+"\n", got.stderr)
}

func TestACourseThatFailedIsAFailureWithItsReason(t *testing.T) {
	t.Parallel()
	f := &fakeServer{
		events: []*lecternv1.Event{event(1, lecternv1.EventType_EVENT_TYPE_STATE_TRANSITIONED, &lecternv1.EventData{
			To: lecternv1.State_STATE_FAILED, Reason: "none of the documents could be read",
		})},
		course: &lecternv1.Course{CourseId: courseID, State: lecternv1.State_STATE_FAILED},
	}
	_, url := start(t, f)
	got := lectern(t, nil, "generate", "--title", "T", "--server", url)
	require.Equal(t, result{code: exitFailure, stderr: "lectern: course " + courseID + " is failed: none of the documents could be read\n" +
		"  See what happened: lectern show " + courseID + " --events --server " + url + "\n"}, got)
}

func TestAnOrderThatWasCutOffIsTakenUpByTheSameKeys(t *testing.T) {
	t.Parallel()
	f := &fakeServer{}
	_, url := start(t, f)
	dir := t.TempDir()
	file := filepath.Join(dir, "notes.md")
	require.NoError(t, os.WriteFile(file, []byte("text"), 0o600))
	config := configs.Config{DataDir: filepath.Join(dir, "data")}
	_, err := writeDraft(config, order{Title: "Bees", Files: []string{file}, Key: "key-1"})
	require.NoError(t, err)
	_, err = writeDraft(config, order{Title: "Gone", Files: []string{filepath.Join(dir, "gone.md")}, Key: "key-2"})
	require.NoError(t, err)
	var said bytes.Buffer

	(&program{}).resume(t.Context(), config, url, newProgress(&said))

	require.Equal(t, []string{
		"create Bees key-1-create", "upload notes.md", "start key-1-start", "create Gone key-2-create", "cancel key-2-cancel",
	}, f.calls)
	require.Contains(t, said.String(), `Giving up "Gone": read document: `)
	left, err := findDrafts(config)
	require.NoError(t, err)
	require.Empty(t, left)
}
