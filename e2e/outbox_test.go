package e2e_test

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
)

// entry is what `lectern outbox` prints of an entry.
type entry struct {
	OutboxID  string `json:"outbox_id"`
	CourseID  string `json:"course_id"`
	Queue     string `json:"queue"`
	State     string `json:"state"`
	LastError string `json:"last_error"`
}

// outbox runs a command of `lectern outbox` that prints JSON.
func (s *server) outbox(t *testing.T, into any, args ...string) {
	t.Helper()
	log := &tail{}
	cmd := command(t.Context(), dataDir(t), nil, append(append([]string{"outbox"}, args...), "--json", "--server", s.url)...)
	cmd.Stderr = log
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", log, out)
	require.NoError(t, json.Unmarshal(out, into), "%s", out)
}

// What an operator does at 3 a.m.: the broker refuses a job, which is dead and
// fails its course; the reason is read, mended, and the entry redriven. The
// course is completed, of all its documents: of those too whose jobs the workers
// skipped because the course had failed.
func TestADeadEntryIsRedrivenAndItsCourseCompleted(t *testing.T) {
	t.Parallel()
	for onDead, behind := range map[string]int{"continue": 0, "block": 2} {
		t.Run(onDead, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			// One at a time, so that nothing is sent together with what is refused.
			relay := []string{"LECTERN_RELAY__ON_DEAD=" + onDead, "LECTERN_RELAY__BATCH_SIZE=1"}
			s := serve(t, dir, append(relay, "LECTERN_BROKER__OPTIONS__MAX_MESSAGE_BYTES=4000")...)
			a := author{t: t, server: s, CourseServiceClient: s.client("connect")}
			course := a.create(lecternv1.Style_STYLE_PRACTICAL, &lecternv1.Settings{Lessons: 25})
			var jobs []*lecternv1.JobRequest
			for _, document := range a.upload(course) {
				jobs = append(jobs, a.job(lecternv1.Queue_QUEUE_DOCUMENT_PROCESSING, course, document))
			}
			jobs[1].Data.Fields["note"] = structpb.NewStringValue(strings.Repeat("x", 8000))
			a.command(course, lecternv1.State_STATE_STAGE_2_INIT, jobs...)
			a.waitForState(course, lecternv1.State_STATE_FAILED)

			var dead []entry
			s.outbox(t, &dead, "list", "--state", "dead")
			require.Len(t, dead, 1)
			require.Equal(t, course, dead[0].CourseID)
			require.Equal(t, "document-processing", dead[0].Queue)
			require.Contains(t, dead[0].LastError, "4000")
			var held []entry
			s.outbox(t, &held, "list", "--state", "held")
			require.Len(t, held, behind)
			require.NoError(t, s.stop(t, syscall.SIGTERM))

			s = serve(t, dir, relay...) // mended
			var results []struct {
				Done bool `json:"done"`
			}
			s.outbox(t, &results, "redrive", "--course", course)
			require.Len(t, results, 1)
			require.True(t, results[0].Done)
			a = author{t: t, server: s, CourseServiceClient: s.client("connect")}
			a.waitForState(course, lecternv1.State_STATE_COMPLETED)
			a.waitForOutboxProcessing()
			requireOwnTerms(a, course)
			for _, d := range a.get(course).GetDocuments() {
				require.Equal(t, lecternv1.DocumentStatus_DOCUMENT_STATUS_PROCESSED, d.GetStatus(), d.GetName())
			}
			s.outbox(t, &dead, "list", "--state", "dead,pending")
			require.Empty(t, dead)
		})
	}
}
