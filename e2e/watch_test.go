package e2e_test

import (
	"bufio"
	"encoding/json"
	"net"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
)

// freeAddress returns one where nobody listens, for a server that is to come back
// at the same.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// The server is killed in the middle of a course and of a watch, and started
// again: the watcher sees every event, each once, to the end.
func TestAWatcherOutlivesTheServerBehindIt(t *testing.T) {
	t.Parallel()
	dir, at := dataDir(t), "LECTERN_LISTEN="+freeAddress(t)
	s := serve(t, dir, at)
	a := author{t: t, server: s, CourseServiceClient: s.client("connect")}
	course := a.create(lecternv1.Style_STYLE_ACADEMIC, &lecternv1.Settings{Lessons: 25})
	a.upload(course)

	log := &tail{}
	watch := command(t.Context(), dataDir(t), nil, "watch", course, "--json", "--server", s.url)
	watch.Stderr = log
	output, err := watch.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, watch.Start())
	_, err = a.InitiateGeneration(t.Context(), connect.NewRequest(&lecternv1.InitiateGenerationRequest{
		CourseId: course, IdempotencyKey: uuid.NewString(),
	}))
	require.NoError(t, err)

	percent := 0
	var seen []int64
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var e struct {
			No      int64 `json:"event_no"`
			Percent int   `json:"percent"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e), lines.Text())
		require.GreaterOrEqual(t, e.Percent, percent)
		percent = e.Percent
		if seen = append(seen, e.No); len(seen) == 1 {
			s.kill(t)
			s = serve(t, dir, at)
		}
	}
	require.NoError(t, watch.Wait(), log)
	require.Equal(t, 100, percent)
	a = author{t: t, server: s, CourseServiceClient: s.client("connect")}
	require.Len(t, a.events(course), len(seen))
	for i, no := range seen {
		require.Equal(t, int64(i+1), no)
	}
}
