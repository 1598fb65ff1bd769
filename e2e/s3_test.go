package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/e2e/stack"
)

// Processes that share no folder, as on machines of their own: one is given the
// documents, and another reads them, after their store was away for a while.
func TestDocumentsGoThroughS3BetweenProcessesThatShareNoFolder(t *testing.T) {
	t.Parallel()
	bucket := stack.S3(t)
	proxy := stack.NewProxy(t, bucket.Endpoint)
	d := newDeployment(t, firstSchema)
	env := append(d.config(onPostgres(firstSchema).variables(t, d.db), nil), "LECTERN_WORKERS__MAX_ATTEMPTS=20",
		"LECTERN_DOCUMENTS__KIND=s3", "LECTERN_DOCUMENTS__OPTIONS__ENDPOINT="+proxy.Addr(), "LECTERN_DOCUMENTS__OPTIONS__BUCKET="+bucket.Name,
		"LECTERN_DOCUMENTS__OPTIONS__PREFIX=courses", "LECTERN_DOCUMENTS__OPTIONS__LOGIN__USER="+bucket.AccessKey,
		"LECTERN_DOCUMENTS__OPTIONS__LOGIN__PASSWORD="+bucket.Secret)
	running := map[string]*server{}
	for _, role := range []string{"api", "relay", "worker"} {
		d.dir = dataDir(t)
		running[role] = d.as(role, env)
	}
	a := author{t: t, server: running["api"], CourseServiceClient: running["api"].client("connect")}
	course := a.create(lecternv1.Style_STYLE_ACADEMIC, nil)
	ids := a.upload(course)
	keys, err := bucket.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, len(ids))
	for _, id := range ids {
		require.Contains(t, keys, "courses/"+course+"/"+id)
	}

	proxy.Cut()
	a.initiate(course)
	eventually(t, "a worker could not read a document", patience, func() bool {
		for _, event := range a.events(course) {
			if event.GetEventType() == lecternv1.EventType_EVENT_TYPE_JOB_FAILED {
				return true
			}
		}
		return false
	})
	proxy.Restore()
	a.waitForState(course, lecternv1.State_STATE_COMPLETED)
	for _, document := range a.get(course).GetDocuments() {
		require.Equal(t, lecternv1.DocumentStatus_DOCUMENT_STATUS_PROCESSED, document.GetStatus(), document.GetError())
	}
}

func TestServeSaysWhatIsWrongWithTheDocumentsStore(t *testing.T) {
	t.Parallel()
	bucket := stack.S3(t)
	env := []string{
		"LECTERN_DOCUMENTS__KIND=s3", "LECTERN_DOCUMENTS__OPTIONS__ENDPOINT=" + bucket.Endpoint, "LECTERN_DOCUMENTS__OPTIONS__BUCKET=not-there",
		"LECTERN_DOCUMENTS__OPTIONS__LOGIN__USER=" + bucket.AccessKey, "LECTERN_DOCUMENTS__OPTIONS__LOGIN__PASSWORD=" + bucket.Secret,
		"LECTERN_LISTEN=127.0.0.1:0",
	}
	dir := dataDir(t)
	for _, args := range [][]string{{"serve"}, {"config", "check"}} {
		said, err := command(t.Context(), dir, env, args...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(said), "look at bucket not-there on "+bucket.Endpoint, strings.Join(args, " "))
		require.Contains(t, string(said), "documents.options.create_bucket", strings.Join(args, " "))
		require.NotContains(t, string(said), bucket.Secret)
	}
}
