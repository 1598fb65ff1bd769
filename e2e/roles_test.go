package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/e2e/stack"
)

// as starts a process with some of the roles, which finds other processes'
// entries soon.
func (d deployment) as(roles string, env []string) *server {
	d.t.Helper()
	return serve(d.t, d.dir, append([]string{"LECTERN_ROLES=" + roles, "LECTERN_RELAY__POLL_MIN=20ms", "LECTERN_RELAY__POLL_MAX=100ms"}, env...)...)
}

// ask gets a path over a connection of its own; status 0 is nobody listens.
func (s *server) ask(t *testing.T, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(content)
}

func (s *server) isReady(t *testing.T) bool {
	t.Helper()
	status, _ := s.ask(t, "/readyz")
	return status == http.StatusOK
}

// stopInOrder asks a server to stop, and checks that it is unready before it
// stops listening, and that it ends well.
func (s *server) stopInOrder(t *testing.T, sig os.Signal) {
	t.Helper()
	eventually(t, "the server is ready", patience, func() bool { return s.isReady(t) })
	require.NoError(t, s.cmd.Process.Signal(sig))
	var told int
	eventually(t, "nobody listens", patience, func() bool {
		status, body := s.ask(t, "/readyz")
		if status == http.StatusServiceUnavailable {
			require.Contains(t, body, "the server is stopping")
			told++
		}
		return status == 0
	})
	require.Positive(t, told, "it stopped listening before anybody could see that it is unready")
	select {
	case err := <-s.done:
		s.done <- err
		require.NoError(t, err, s.log)
	case <-time.After(patience):
		t.Fatalf("serve did not end\n%s", s.log)
	}
}

// Two processes answer calls, two work, one relays. Each is stopped in turn, and
// only then another takes its place.
func TestRolesInProcessesOfTheirOwnAreStoppedInTurnAndCoursesComplete(t *testing.T) {
	t.Parallel()
	for _, b := range []brokerAt{onRedis(), onPostgres(firstSchema)} {
		t.Run(b.kind, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, firstSchema)
			env := d.config(b.variables(t, d.db), nil)
			roles := []string{"api", "api", "worker", "worker", "relay"}
			var running []*server
			for _, role := range roles {
				running = append(running, d.as(role, env))
			}
			by := func(i int) author {
				return author{t: t, server: running[i], CourseServiceClient: running[i].client("connect")}
			}
			courses := by(0).begin()
			for i, role := range roles {
				sig := []os.Signal{syscall.SIGTERM, syscall.SIGINT}[i%2]
				running[i].stopInOrder(t, sig)
				survivor := by((i + 1) % 2) // the other of the two that answer calls
				course := survivor.create(lecternv1.Style_STYLE_PRACTICAL, nil)
				survivor.initiate(course)
				courses = append(courses, course)
				running[i] = d.as(role, env)
			}
			by(1).complete(courses...)
			a := by(0)
			a.server = running[4]
			a.waitForOutboxProcessing()
		})
	}
}

// A process tells its own health alone, and serves the API only with that role.
func TestAProcessTellsTheHealthOfItsRoles(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, firstSchema)
	env := d.config(onPostgres(firstSchema).variables(t, d.db), nil)
	for role, want := range map[string]struct {
		outbox, api int
	}{
		"api":    {http.StatusNotFound, http.StatusOK},
		"worker": {http.StatusNotFound, http.StatusNotFound},
		"relay":  {http.StatusOK, http.StatusNotFound},
	} {
		s := d.as(role, env)
		eventually(t, role+" is ready", patience, func() bool { return s.isReady(t) })
		status, body := s.ask(t, "/api/health/outbox")
		require.Equal(t, want.outbox, status, body)
		if want.outbox == http.StatusNotFound {
			require.Contains(t, body, "ask one whose roles include relay")
		}
		status, _ = s.ask(t, "/")
		require.Equal(t, want.api, status)
	}
}

// A watcher whose process stops is told to call again, and misses nothing when
// it does so elsewhere.
func TestAWatcherOfAStoppingProcessGoesOnAtAnother(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, firstSchema)
	env := d.config(onPostgres(firstSchema).variables(t, d.db), nil)
	first, second := d.as("api", env), d.as("api", env)
	a := author{t: t, server: second, CourseServiceClient: second.client("grpc")}
	course := a.create(lecternv1.Style_STYLE_PRACTICAL, nil)
	stream, err := first.client("grpc").WatchCourse(t.Context(), connect.NewRequest(&lecternv1.WatchCourseRequest{CourseId: course}))
	require.NoError(t, err)
	a.initiate(course)
	require.True(t, stream.Receive(), "%v", stream.Err())
	seen := stream.Msg().GetEvent().GetEventNo()

	first.stopInOrder(t, syscall.SIGTERM)

	for stream.Receive() {
		require.Equal(t, seen+1, stream.Msg().GetEvent().GetEventNo())
		seen++
	}
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(stream.Err()))
	require.ErrorContains(t, stream.Err(), "call again")
	require.NoError(t, stream.Close())

	d.as("relay,worker", env)
	again, err := a.WatchCourse(t.Context(), connect.NewRequest(&lecternv1.WatchCourseRequest{CourseId: course, AfterEventNo: seen}))
	require.NoError(t, err)
	for again.Receive() {
		require.Equal(t, seen+1, again.Msg().GetEvent().GetEventNo())
		seen++
	}
	require.NoError(t, again.Err())
	require.NoError(t, again.Close())
	a.complete(course)
}

// slowCall begins a call to a server, and sends no more of it.
func slowCall(t *testing.T, s *server) {
	t.Helper()
	at, err := url.Parse(s.url)
	require.NoError(t, err)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", at.Host)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /lectern.v1.CourseService/CreateCourse HTTP/1.1\r\nHost: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n", at.Host)
	require.NoError(t, err)
	answer := make([]byte, len("HTTP/1.1 100"))
	_, err = io.ReadFull(conn, answer) // the body is asked for: the call is in hand
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100", string(answer))
}

func (s *server) waitForEnd(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.done:
		s.done <- nil // as it was meant to
		require.Error(t, err)
	case <-time.After(patience):
		t.Fatalf("serve did not end\n%s", s.log)
	}
}

func TestAStopPastItsDeadlineSaysWhatStillRanAndIsAFailure(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, firstSchema)
	s := d.as("api", append(d.config([]string{"KIND=postgres"}, nil), "LECTERN_SHUTDOWN_TIMEOUT=1s", "LECTERN_SHUTDOWN_DELAY=100ms"))
	slowCall(t, s)
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.waitForEnd(t)
	require.Equal(t, 1, s.cmd.ProcessState.ExitCode(), s.log)
	require.Contains(t, s.log.String(), "not stopped within shutdown_timeout (1s), and broken off: calls to the API")
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, firstSchema)
	s := d.as("api", append(d.config([]string{"KIND=postgres"}, nil), "LECTERN_SHUTDOWN_TIMEOUT=24h"))
	slowCall(t, s)
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	eventually(t, "it is stopping", patience, func() bool { return !s.isReady(t) })
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.waitForEnd(t)
	status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGTERM, status.Signal(), s.log)
}

// aliveLimit is within what health must tell that the database is gone.
const aliveLimit = 60 * time.Second

// The database goes down, or the network swallows what is sent to it; and comes
// back.
func TestOutboxHealthTellsWithinAMinuteThatTheDatabaseIsGone(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T) (db *stack.DB, lose, find func()){
		"stopped": func(t *testing.T) (*stack.DB, func(), func()) {
			t.Helper()
			own := stack.StartPostgres(t)
			return own.Database(t, firstSchema), own.Stop, own.Start
		},
		"swallowed": func(t *testing.T) (*stack.DB, func(), func()) {
			t.Helper()
			db := stack.Database(t, firstSchema)
			at, err := url.Parse(db.Relay)
			require.NoError(t, err)
			proxy := stack.NewProxy(t, at.Host)
			db.Relay = strings.Replace(db.Relay, at.Host, proxy.Addr(), 1)
			return db, proxy.Stall, proxy.Restore
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, lose, find := prepare(t)
			d := deployment{t: t, dir: dataDir(t), db: db}
			env := d.config(onPostgres(firstSchema).variables(t, db), nil)
			_, ok := d.run(env, "migrate", "up")
			require.True(t, ok)
			s := d.as("relay", env)
			alive := func() bool {
				_, body := s.ask(t, "/api/health/outbox")
				var health outboxHealth
				require.NoError(t, json.Unmarshal([]byte(body), &health), body)
				require.Positive(t, health.PollInterval)
				return health.Alive
			}
			eventually(t, "the relay is alive", patience, alive)
			require.True(t, s.isReady(t))
			lose()
			eventually(t, "the relay is not alive", aliveLimit, func() bool { return !alive() })
			require.False(t, s.isReady(t))
			status, _ := s.ask(t, "/livez")
			require.Equal(t, http.StatusOK, status, "a restart would not bring the database back")
			find()
			eventually(t, "the relay is alive again", patience, alive)
			eventually(t, "it is ready again", patience, func() bool { return s.isReady(t) })
		})
	}
}
