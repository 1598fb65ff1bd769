package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
)

// A crash at any moment of a course loses nothing and doubles nothing: the next
// start carries it to its end, without waiting for what the killed one leased.
func TestCourseResumesAfterTheServerWasKilled(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	lease := "LECTERN_RELAY__LEASE=10m" // longer than the test waits
	s := serve(t, dir, lease)
	a := author{t: t, server: s, CourseServiceClient: s.client("connect")}
	course := a.create(lecternv1.Style_STYLE_ACADEMIC, &lecternv1.Settings{Lessons: 25})
	a.upload(course)
	_, err := a.InitiateGeneration(t.Context(), connect.NewRequest(&lecternv1.InitiateGenerationRequest{
		CourseId: course, IdempotencyKey: uuid.NewString(),
	}))
	require.NoError(t, err)
	eventually(t, "a document is being read", patience, func() bool {
		return a.get(course).GetCourse().GetState() == lecternv1.State_STATE_STAGE_2_PROCESSING
	})
	s.kill(t)

	s = serve(t, dir, lease)
	a = author{t: t, server: s, CourseServiceClient: s.client("connect")}
	a.waitForState(course, lecternv1.State_STATE_COMPLETED)
	a.waitForOutboxProcessing()
	a.validateFSMEvents(course)
	requireOwnTerms(a, course)
}

// The command line alone: the finished course on standard output and nothing
// else, and bad orders refused before anything is made.
func TestGeneratePrintsTheCourseAsJSON(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	log := &tail{}
	cmd := command(t.Context(), dir, nil, "generate", "--title", "Consultative selling", "--format", "json",
		"../docs/samples/04-consultative-selling.pdf")
	cmd.Stderr = log
	out, err := cmd.Output()
	require.NoError(t, err, log.String())
	var course struct {
		Title    string `json:"course_title"`
		Sections []struct {
			Title   string `json:"section_title"`
			Lessons []struct {
				Title string `json:"lesson_title"`
			} `json:"lessons"`
		} `json:"sections"`
	}
	require.NoError(t, json.Unmarshal(out, &course))
	require.Equal(t, "Consultative selling", course.Title)
	lessons := 0
	for _, s := range course.Sections {
		lessons += len(s.Lessons)
	}
	require.GreaterOrEqual(t, lessons, 10)
}

func TestGenerateRefusesABadOrderWhole(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	fake := filepath.Join(t.TempDir(), "fake.pdf")
	require.NoError(t, os.WriteFile(fake, []byte("no PDF at all"), 0o600))
	log := &tail{}
	cmd := command(t.Context(), dir, nil, "generate", "--title", " ", "--style", "boring", fake, "missing.docx")
	cmd.Stderr = log
	require.Error(t, cmd.Run())
	require.Equal(t, 2, cmd.ProcessState.ExitCode(), log.String())
	for _, named := range []string{"title", "boring", "fake.pdf", "missing.docx"} {
		require.Contains(t, log.String(), named)
	}
	_, err := os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist, "nothing was begun")
}

func TestSecondProcessOnADataFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	serve(t, dir)
	log := &tail{}
	cmd := command(t.Context(), dir, []string{"LECTERN_LISTEN=127.0.0.1:0"}, "serve")
	cmd.Stderr = log
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	require.Error(t, cmd.Run())
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), log.String())
	require.Contains(t, log.String(), dir)
	require.Contains(t, log.String(), "--data-dir")
}
