package e2e_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
)

const title = "Курс по продажам в сфере образования"

// TestT053 replays the acceptance scenarios through each protocol, on one
// server of the embedded profile.
func TestT053(t *testing.T) {
	t.Parallel()
	s := serve(t, dataDir(t))
	for _, protocol := range []string{"connect", "grpc", "grpcweb"} {
		t.Run(protocol, func(t *testing.T) {
			scenarios := map[string]func(author){
				"1 title only":            titleOnly,
				"2a full pipeline manual": manualPipeline,
				"2b full pipeline alone":  automaticPipeline,
			}
			for name, scenario := range scenarios {
				t.Run(name, func(t *testing.T) {
					scenario(author{t: t, server: s, CourseServiceClient: s.client(protocol)})
				})
			}
		})
	}
}

func titleOnly(a author) {
	course := a.create(lecternv1.Style_STYLE_PRACTICAL, nil)
	a.command(course, lecternv1.State_STATE_STAGE_5_INIT,
		a.job(lecternv1.Queue_QUEUE_STRUCTURE_GENERATION, course, ""))
	a.waitForOutboxProcessing()
	a.waitForState(course, lecternv1.State_STATE_COMPLETED)
	a.validateFSMEvents(course)
	a.validateCourseStructure(course, 10)
	sections := len(a.get(course).GetCourse().GetStructure().GetSections())
	require.True(a.t, sections >= 4 && sections <= 10, "%d sections", sections)
}

func manualPipeline(a author) {
	course := a.create(lecternv1.Style_STYLE_ACADEMIC, &lecternv1.Settings{
		Lessons: 25, Pipeline: lecternv1.Pipeline_PIPELINE_MANUAL,
	})
	var jobs []*lecternv1.JobRequest
	for _, document := range a.upload(course) {
		jobs = append(jobs, a.job(lecternv1.Queue_QUEUE_DOCUMENT_PROCESSING, course, document))
	}
	a.command(course, lecternv1.State_STATE_STAGE_2_INIT, jobs...)
	a.waitForOutboxProcessing()
	a.waitForState(course, lecternv1.State_STATE_STAGE_2_COMPLETE)

	a.command(course, lecternv1.State_STATE_STAGE_4_INIT, a.job(lecternv1.Queue_QUEUE_STRUCTURE_ANALYSIS, course, ""))
	a.waitForOutboxProcessing()
	a.waitForState(course, lecternv1.State_STATE_STAGE_4_COMPLETE)
	require.NotEmpty(a.t, a.get(course).GetCourse().GetAnalysis().GetSections())

	a.command(course, lecternv1.State_STATE_STAGE_5_INIT, a.job(lecternv1.Queue_QUEUE_STRUCTURE_GENERATION, course, ""))
	a.waitForOutboxProcessing()
	a.waitForState(course, lecternv1.State_STATE_COMPLETED)
	a.validateFSMEvents(course)
	requireOwnTerms(a, course)
}

func automaticPipeline(a author) {
	course := a.create(lecternv1.Style_STYLE_ACADEMIC, &lecternv1.Settings{Lessons: 25})
	a.upload(course)
	key := uuid.NewString()
	started, err := a.InitiateGeneration(a.t.Context(), connect.NewRequest(&lecternv1.InitiateGenerationRequest{
		CourseId: course, IdempotencyKey: key,
	}))
	require.NoError(a.t, err)
	require.Equal(a.t, lecternv1.State_STATE_STAGE_2_INIT, started.Msg.GetFsmState().GetState())
	require.Len(a.t, started.Msg.GetOutboxEntries(), 4)
	require.Equal(a.t, started.Msg.GetOutboxEntries()[0].GetOutboxId(), started.Msg.GetJobId())

	a.waitForState(course, lecternv1.State_STATE_COMPLETED)
	a.waitForOutboxProcessing()
	again, err := a.InitiateGeneration(a.t.Context(), connect.NewRequest(&lecternv1.InitiateGenerationRequest{
		CourseId: course, IdempotencyKey: key,
	}))
	require.NoError(a.t, err)
	require.True(a.t, again.Msg.GetFromCache())
	require.Equal(a.t, started.Msg.GetJobId(), again.Msg.GetJobId())
	a.validateFSMEvents(course)
	requireOwnTerms(a, course)
}

// requireOwnTerms checks that the course speaks of what its documents speak of.
func requireOwnTerms(a author, course string) {
	a.t.Helper()
	text := strings.ToLower(a.validateCourseStructure(course, 20))
	for _, term := range []string{"лестница результата", "журнал возражений", "когортный учёт", "buying committee"} {
		require.Contains(a.t, text, term)
	}
}
