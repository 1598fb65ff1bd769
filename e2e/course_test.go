package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
)

// author is a caller who makes one course after another.
type author struct {
	t      *testing.T
	server *server
	lecternv1connect.CourseServiceClient
}

func (a author) create(style lecternv1.Style, settings *lecternv1.Settings) string {
	a.t.Helper()
	made, err := a.CreateCourse(a.t.Context(), connect.NewRequest(&lecternv1.CreateCourseRequest{
		Title: title, Language: "ru", Style: style, Settings: settings,
	}))
	require.NoError(a.t, err)
	require.Equal(a.t, lecternv1.State_STATE_PENDING, made.Msg.GetCourse().GetState())
	return made.Msg.GetCourse().GetCourseId()
}

// upload adds the repository's four sample documents and returns their ids.
func (a author) upload(course string) []string {
	a.t.Helper()
	files, err := filepath.Glob("../docs/samples/*.*")
	require.NoError(a.t, err)
	var ids []string
	for _, file := range files {
		if filepath.Ext(file) != ".pdf" && filepath.Ext(file) != ".docx" {
			continue
		}
		content, err := os.ReadFile(file)
		require.NoError(a.t, err)
		up, err := a.UploadDocument(a.t.Context(), connect.NewRequest(&lecternv1.UploadDocumentRequest{
			CourseId: course, Name: filepath.Base(file), Content: content,
		}))
		require.NoError(a.t, err)
		ids = append(ids, up.Msg.GetDocument().GetDocumentId())
	}
	require.Len(a.t, ids, 4)
	return ids
}

// command queues jobs and checks that the same key again changes nothing.
func (a author) command(course string, state lecternv1.State, jobs ...*lecternv1.JobRequest) {
	a.t.Helper()
	request := &lecternv1.InitializeFSMRequest{
		CourseId: course, IdempotencyKey: uuid.NewString(), State: state, Jobs: jobs,
	}
	first, err := a.InitializeFSM(a.t.Context(), connect.NewRequest(request))
	require.NoError(a.t, err)
	require.Equal(a.t, state, first.Msg.GetFsmState().GetState())
	require.Len(a.t, first.Msg.GetOutboxEntries(), len(jobs))
	require.False(a.t, first.Msg.GetFromCache())

	again, err := a.InitializeFSM(a.t.Context(), connect.NewRequest(request))
	require.NoError(a.t, err)
	require.True(a.t, again.Msg.GetFromCache())
	require.Equal(a.t, first.Msg.GetFsmState().GetVersion(), again.Msg.GetFsmState().GetVersion())
	require.Equal(a.t, first.Msg.GetOutboxEntries()[0].GetOutboxId(), again.Msg.GetOutboxEntries()[0].GetOutboxId())
}

func (a author) job(queue lecternv1.Queue, course, document string) *lecternv1.JobRequest {
	a.t.Helper()
	fields := map[string]any{"course_id": course}
	if document != "" {
		fields["document_id"] = document
	}
	data, err := structpb.NewStruct(fields)
	require.NoError(a.t, err)
	return &lecternv1.JobRequest{Queue: queue, Data: data}
}

func (a author) get(course string) *lecternv1.GetCourseResponse {
	a.t.Helper()
	got, err := a.GetCourse(a.t.Context(), connect.NewRequest(&lecternv1.GetCourseRequest{CourseId: course}))
	require.NoError(a.t, err)
	return got.Msg
}

// events returns what has happened to a course so far.
func (a author) events(course string) []*lecternv1.Event {
	a.t.Helper()
	stream, err := a.WatchCourse(a.t.Context(), connect.NewRequest(&lecternv1.WatchCourseRequest{CourseId: course, SnapshotOnly: true}))
	require.NoError(a.t, err)
	var events []*lecternv1.Event
	for stream.Receive() {
		events = append(events, stream.Msg().GetEvent())
	}
	require.NoError(a.t, stream.Err())
	require.NoError(a.t, stream.Close())
	return events
}

// waitForState watches a course until it reaches a state, and fails at once
// when it can't any more.
func (a author) waitForState(course string, want lecternv1.State) {
	a.t.Helper()
	eventually(a.t, fmt.Sprintf("course %s becomes %s", course, want), patience, func() bool {
		got := a.get(course).GetCourse()
		state := got.GetState()
		if state != want && slices.Contains([]lecternv1.State{lecternv1.State_STATE_FAILED, lecternv1.State_STATE_CANCELLED}, state) {
			a.t.Fatalf("course %s is %s: %v\nevents: %v", course, state, got, a.events(course))
		}
		return state == want
	})
}

// waitForOutboxProcessing waits until no entry of the table is pending.
func (a author) waitForOutboxProcessing() {
	a.t.Helper()
	eventually(a.t, "the outbox is processed", 10*time.Second, func() bool {
		health := a.outboxHealth()
		require.True(a.t, health.Alive)
		return health.QueueDepth == 0 && health.LastProcessed != nil
	})
}

type outboxHealth struct {
	Alive         bool       `json:"alive"`
	LastProcessed *time.Time `json:"lastProcessed"`
	QueueDepth    int64      `json:"queueDepth"`
	PollInterval  int64      `json:"pollInterval"`
}

func (a author) outboxHealth() outboxHealth {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.server.url+"/api/health/outbox", nil)
	require.NoError(a.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(a.t, err)
	defer func() { require.NoError(a.t, response.Body.Close()) }()
	require.Equal(a.t, http.StatusOK, response.StatusCode)
	var health outboxHealth
	require.NoError(a.t, json.NewDecoder(response.Body).Decode(&health))
	return health
}

// validateFSMEvents checks a course's whole history: numbered without a gap,
// each change of state beginning where the one before ended, the version rising
// by one, and a completion for every job.
func (a author) validateFSMEvents(course string) {
	a.t.Helper()
	events := a.events(course)
	require.NotEmpty(a.t, events)
	state, version := lecternv1.State_STATE_PENDING, int64(0)
	created, completed := map[string]bool{}, map[string]bool{}
	for i, e := range events {
		require.Equal(a.t, int64(i+1), e.GetEventNo())
		data := e.GetEventData()
		switch e.GetEventType() {
		case lecternv1.EventType_EVENT_TYPE_FSM_INITIALIZED, lecternv1.EventType_EVENT_TYPE_STATE_TRANSITIONED:
			require.Equal(a.t, state, data.GetFrom(), "event %d: %v", e.GetEventNo(), data)
			require.Equal(a.t, version+1, data.GetVersion())
			state, version = data.GetTo(), data.GetVersion()
		case lecternv1.EventType_EVENT_TYPE_JOB_CREATED:
			created[data.GetOutboxId()] = true
		case lecternv1.EventType_EVENT_TYPE_JOB_COMPLETED:
			require.False(a.t, completed[data.GetOutboxId()], "a job completes once")
			completed[data.GetOutboxId()] = true
		default:
			a.t.Errorf("event %d: %v", e.GetEventNo(), e)
		}
	}
	require.Equal(a.t, lecternv1.State_STATE_COMPLETED, state)
	require.Equal(a.t, created, completed, "every job that was created has completed")
}

// validateCourseStructure checks a finished course and returns all its text.
func (a author) validateCourseStructure(course string, lessons int) string {
	a.t.Helper()
	structure := a.get(course).GetCourse().GetStructure()
	require.NotNil(a.t, structure)
	count := 0
	for _, section := range structure.GetSections() {
		require.NotEmpty(a.t, section.GetSectionTitle())
		objectives := len(section.GetLearningObjectives())
		require.True(a.t, objectives >= 1 && objectives <= 5, "%d objectives", objectives)
		for _, lesson := range section.GetLessons() {
			count++
			require.NotEmpty(a.t, lesson.GetLessonTitle())
			require.NotEmpty(a.t, lesson.GetContentSummary())
			require.NotEmpty(a.t, lesson.GetPracticalExercises())
		}
	}
	require.GreaterOrEqual(a.t, count, lessons)
	text := structure.String()
	for _, placeholder := range []string{"lorem ipsum", "[insert", "todo:"} {
		require.NotContains(a.t, strings.ToLower(text), placeholder)
	}
	return text
}

// eventually looks until ok, a hundred times a second, for at most timeout.
func eventually(t *testing.T, what string, timeout time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.After(timeout)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("after %v it is still not so that %s", timeout, what)
		}
	}
}
