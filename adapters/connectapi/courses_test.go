package connectapi_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/app"
	"lectern/domain"
)

const key = "a-key-of-the-tests"

func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 123456000, time.UTC) }

func course(id uuid.UUID) domain.Course {
	return domain.Course{
		ID: id, Owner: me(), Title: "Пчеловодство", Slug: "пчеловодство-1", Language: "ru", Style: domain.StyleProblemBased,
		Settings: domain.Settings{Lessons: 12, Pipeline: domain.PipelineManual},
		State:    domain.StateStage4Complete, Version: 7, Run: 2,
		Analysis: &domain.Analysis{
			Topics: []string{"ульи"}, TargetAudience: "all", Difficulty: domain.DifficultyAdvanced, TotalLessons: 12,
			Sections: []domain.PlannedSection{{Title: "S", Lessons: []domain.PlannedLesson{{
				Title: "L", KeyTopics: []string{"k"}, Sources: []domain.Source{{Document: "d.pdf", Heading: "h", Page: 3}},
			}}}},
		},
		Metadata:  json.RawMessage(`{"generator": "outline", "chunks": 4}`),
		CreatedAt: noon(), UpdatedAt: noon().Add(time.Minute),
	}
}

func TestCreateCourseAsksForWhatTheRequestSays(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	for name, client := range clients(t, connectapi.Config{Courses: fakeCourses{
		create: func(_ context.Context, caller domain.Identity, r app.CreateRequest) (domain.Course, error) {
			assert.Equal(t, me(), caller)
			assert.Equal(t, app.CreateRequest{
				Title: "Пчеловодство", Language: "ru", Style: domain.StyleProblemBased,
				Settings: domain.Settings{Lessons: 12, Pipeline: domain.PipelineManual}, Key: key,
			}, r)
			return course(id), nil
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			res, err := client.CreateCourse(t.Context(), connect.NewRequest(&lecternv1.CreateCourseRequest{
				Title: "Пчеловодство", Language: "ru", Style: lecternv1.Style_STYLE_PROBLEM_BASED,
				Settings:       &lecternv1.Settings{Lessons: 12, Pipeline: lecternv1.Pipeline_PIPELINE_MANUAL},
				IdempotencyKey: key,
			}))
			require.NoError(t, err)
			got := res.Msg.GetCourse()
			require.Equal(t, id.String(), got.GetCourseId())
			require.Equal(t, "Пчеловодство", got.GetTitle())
			require.Equal(t, "пчеловодство-1", got.GetSlug())
			require.Equal(t, "ru", got.GetLanguage())
			require.Equal(t, lecternv1.Style_STYLE_PROBLEM_BASED, got.GetStyle())
			require.EqualValues(t, 12, got.GetSettings().GetLessons())
			require.Equal(t, lecternv1.Pipeline_PIPELINE_MANUAL, got.GetSettings().GetPipeline())
			require.Equal(t, lecternv1.State_STATE_STAGE_4_COMPLETE, got.GetState())
			require.EqualValues(t, 7, got.GetVersion())
			require.EqualValues(t, 2, got.GetRun())
			require.Equal(t, "d.pdf", got.GetAnalysis().GetSections()[0].GetLessons()[0].GetSources()[0].GetDocument())
			require.Equal(t, lecternv1.Difficulty_DIFFICULTY_ADVANCED, got.GetAnalysis().GetDifficultyLevel())
			require.Nil(t, got.GetStructure())
			require.Equal(t, "outline", got.GetGenerationMetadata().AsMap()["generator"])
			require.Equal(t, me().UserID.String(), got.GetUserId())
			require.Equal(t, noon(), got.GetCreatedAt().AsTime())
			require.Equal(t, noon().Add(time.Minute), got.GetUpdatedAt().AsTime())
		})
	}
}

func TestGetCourseReturnsTheDocumentsInOrder(t *testing.T) {
	t.Parallel()
	id, first, second := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	for name, client := range clients(t, connectapi.Config{Courses: fakeCourses{
		get: func(_ context.Context, caller domain.Identity, asked uuid.UUID) (domain.Course, []domain.Document, error) {
			assert.Equal(t, me(), caller)
			assert.Equal(t, id, asked)
			return course(id), []domain.Document{
				{
					ID: first, CourseID: id, Name: "a.md", Format: domain.FormatMarkdown, Size: 5, SHA256: "ab", CreatedAt: noon(),
					Status: domain.DocumentProcessed, Summary: &domain.Summary{Text: "t", KeyPhrases: []string{"k"}},
				},
				{ID: second, CourseID: id, Name: "b.pdf", Format: domain.FormatPDF, Status: domain.DocumentFailed, Error: "is broken"},
			}, nil
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			res, err := client.GetCourse(t.Context(), connect.NewRequest(&lecternv1.GetCourseRequest{CourseId: id.String()}))
			require.NoError(t, err)
			docs := res.Msg.GetDocuments()
			require.Len(t, docs, 2)
			require.Equal(t, first.String(), docs[0].GetDocumentId())
			require.Equal(t, id.String(), docs[0].GetCourseId())
			require.Equal(t, "a.md", docs[0].GetName())
			require.Equal(t, lecternv1.Format_FORMAT_MD, docs[0].GetFormat())
			require.EqualValues(t, 5, docs[0].GetSizeBytes())
			require.Equal(t, "ab", docs[0].GetSha256())
			require.Equal(t, []string{"k"}, docs[0].GetSummary().GetKeyPhrases())
			require.Equal(t, noon(), docs[0].GetCreatedAt().AsTime())
			require.Equal(t, lecternv1.DocumentStatus_DOCUMENT_STATUS_FAILED, docs[1].GetStatus())
			require.Equal(t, "is broken", docs[1].GetError())
			require.Nil(t, docs[1].GetSummary())
		})
	}
}

func TestListCoursesPagesThroughAll(t *testing.T) {
	t.Parallel()
	all := make([]domain.Course, 5)
	for i := range all {
		all[i] = course(uuid.Must(uuid.NewV7()))
	}
	for name, client := range clients(t, connectapi.Config{Courses: fakeCourses{
		list: func(_ context.Context, _ domain.Identity, before uuid.UUID, limit int) ([]domain.Course, error) {
			from := 0
			for i, c := range all {
				if c.ID == before {
					from = i + 1
				}
			}
			return all[from:min(from+limit, len(all))], nil
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			var seen []string
			var pages []int
			for token, more := "", true; more; more = token != "" {
				res, err := client.ListCourses(t.Context(), connect.NewRequest(&lecternv1.ListCoursesRequest{PageSize: 2, PageToken: token}))
				require.NoError(t, err)
				pages = append(pages, len(res.Msg.GetCourses()))
				for _, c := range res.Msg.GetCourses() {
					seen = append(seen, c.GetCourseId())
				}
				token = res.Msg.GetNextPageToken()
			}
			require.Equal(t, []int{2, 2, 1}, pages)
			for i, c := range all {
				require.Equal(t, c.ID.String(), seen[i])
			}
		})
	}
}

func TestUploadDocumentPassesNameAndBytes(t *testing.T) {
	t.Parallel()
	id, content := uuid.Must(uuid.NewV7()), []byte{0, 1, 2, 255}
	for name, client := range clients(t, connectapi.Config{Courses: fakeCourses{
		upload: func(_ context.Context, caller domain.Identity, courseID uuid.UUID, name string, got []byte) (domain.Document, error) {
			assert.Equal(t, me(), caller)
			assert.Equal(t, id, courseID)
			assert.Equal(t, "лекция.txt", name)
			assert.Equal(t, content, got)
			return domain.Document{ID: id, CourseID: courseID, Name: name, Format: domain.FormatText, Status: domain.DocumentUploaded}, nil
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			res, err := client.UploadDocument(t.Context(), connect.NewRequest(&lecternv1.UploadDocumentRequest{
				CourseId: id.String(), Name: "лекция.txt", Content: content,
			}))
			require.NoError(t, err)
			require.Equal(t, lecternv1.DocumentStatus_DOCUMENT_STATUS_UPLOADED, res.Msg.GetDocument().GetStatus())
		})
	}
}

func result(id uuid.UUID, entries ...domain.QueuedEntry) domain.InitializeFSMResult {
	return domain.InitializeFSMResult{
		FSMState:      domain.FSMState{CourseID: id, State: domain.StateStage5Init, Version: 2, CreatedBy: domain.ActorAPI, CreatedAt: noon()},
		OutboxEntries: entries,
		FromCache:     true,
	}
}

func TestInitiateGenerationNamesTheFirstJob(t *testing.T) {
	t.Parallel()
	id, job := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	for name, client := range clients(t, connectapi.Config{Courses: fakeCourses{
		initiate: func(_ context.Context, caller domain.Identity, courseID uuid.UUID, given string) (domain.InitializeFSMResult, error) {
			assert.Equal(t, me(), caller)
			assert.Equal(t, id, courseID)
			assert.Equal(t, key, given)
			return result(id, domain.QueuedEntry{ID: job, Queue: domain.QueueStructureAnalysis, CreatedAt: noon()}), nil
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			res, err := client.InitiateGeneration(t.Context(), connect.NewRequest(&lecternv1.InitiateGenerationRequest{
				CourseId: id.String(), IdempotencyKey: key,
			}))
			require.NoError(t, err)
			require.Equal(t, job.String(), res.Msg.GetJobId())
			require.True(t, res.Msg.GetFromCache())
			require.Equal(t, job.String(), res.Msg.GetOutboxEntries()[0].GetOutboxId())
			require.Equal(t, lecternv1.Queue_QUEUE_STRUCTURE_ANALYSIS, res.Msg.GetOutboxEntries()[0].GetQueueName())
			require.Equal(t, id.String(), res.Msg.GetFsmState().GetEntityId())
			require.Equal(t, lecternv1.State_STATE_STAGE_5_INIT, res.Msg.GetFsmState().GetState())
			require.EqualValues(t, 2, res.Msg.GetFsmState().GetVersion())
			require.Equal(t, lecternv1.Actor_ACTOR_API, res.Msg.GetFsmState().GetCreatedBy())
			require.Equal(t, noon(), res.Msg.GetFsmState().GetCreatedAt().AsTime())
		})
	}
}

func TestInitializeFSMPassesItsJobsInOrder(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	notBefore := noon()
	for name, client := range clients(t, connectapi.Config{Courses: fakeCourses{
		initialize: func(_ context.Context, caller domain.Identity, r app.InitializeRequest) (domain.InitializeFSMResult, error) {
			assert.Equal(t, me(), caller)
			assert.Equal(t, app.InitializeRequest{
				CourseID: id, Key: key, State: domain.StateStage2Init, Metadata: json.RawMessage(`{"note":"<b>"}`),
				Jobs: []app.JobRequest{
					{Queue: domain.QueueDocumentProcessing, Data: json.RawMessage(`{"list":[1,null,"x"],"n":1.5}`)},
					{Queue: domain.QueueSummarization, Data: json.RawMessage(`{}`), Options: domain.JobOptions{NotBefore: &notBefore, MaxAttempts: 3, Priority: 9}},
				},
			}, r)
			return result(id), nil
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			res, err := client.InitializeFSM(t.Context(), connect.NewRequest(&lecternv1.InitializeFSMRequest{
				CourseId: id.String(), IdempotencyKey: key, State: lecternv1.State_STATE_STAGE_2_INIT,
				Metadata: object(t, map[string]any{"note": "<b>"}),
				Jobs: []*lecternv1.JobRequest{
					{
						Queue: lecternv1.Queue_QUEUE_DOCUMENT_PROCESSING,
						Data:  object(t, map[string]any{"n": 1.5, "list": []any{1, nil, "x"}}),
					},
					{
						Queue: lecternv1.Queue_QUEUE_SUMMARIZATION, Data: object(t, nil),
						Options: &lecternv1.JobOptions{NotBefore: timestamppb.New(notBefore), MaxAttempts: 3, Priority: 9},
					},
				},
			}))
			require.NoError(t, err)
			require.Equal(t, id.String(), res.Msg.GetFsmState().GetEntityId())
		})
	}
}

func TestCancelAndRestartReturnTheNewState(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	for name, client := range clients(t, connectapi.Config{Courses: fakeCourses{
		cancel: func(_ context.Context, caller domain.Identity, courseID uuid.UUID, given, reason string) (domain.FSMState, error) {
			assert.Equal(t, []any{me(), id, key, "changed my mind"}, []any{caller, courseID, given, reason})
			return domain.FSMState{CourseID: id, State: domain.StateCancelled}, nil
		},
		restart: func(_ context.Context, caller domain.Identity, courseID uuid.UUID, given string) (domain.FSMState, error) {
			assert.Equal(t, []any{me(), id, key}, []any{caller, courseID, given})
			return domain.FSMState{CourseID: id, State: domain.StatePending}, nil
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			cancelled, err := client.CancelGeneration(t.Context(), connect.NewRequest(&lecternv1.CancelGenerationRequest{
				CourseId: id.String(), IdempotencyKey: key, Reason: "changed my mind",
			}))
			require.NoError(t, err)
			require.Equal(t, lecternv1.State_STATE_CANCELLED, cancelled.Msg.GetFsmState().GetState())
			restarted, err := client.RestartGeneration(t.Context(), connect.NewRequest(&lecternv1.RestartGenerationRequest{
				CourseId: id.String(), IdempotencyKey: key,
			}))
			require.NoError(t, err)
			require.Equal(t, lecternv1.State_STATE_PENDING, restarted.Msg.GetFsmState().GetState())
		})
	}
}

func object(t *testing.T, fields map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(fields)
	require.NoError(t, err)
	return s
}
