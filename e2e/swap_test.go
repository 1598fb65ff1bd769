package e2e_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/e2e/stack"
)

// side is a broker that is swapped for another: its kind, and its options by
// what their variables end in.
type side struct {
	kind    string
	options func(*testing.T, *stack.DB) map[string]string
}

// The schemas of two brokers on Postgres.
const (
	firstSchema  = "broker_a"
	secondSchema = "broker_b"
)

func onPostgres(schema string) side {
	return side{"postgres", func(_ *testing.T, db *stack.DB) map[string]string {
		return map[string]string{"DSN": db.Broker, "SCHEMA": schema, "LEASE": "2s"}
	}}
}

func inMemory() side {
	return side{"memory", func(*testing.T, *stack.DB) map[string]string { return nil }}
}

// swap is a deployment whose broker is swapped.
type swap struct {
	t        *testing.T
	dir      string
	db       *stack.DB
	from, to []string // the variables' ends, and their values
}

func newSwap(t *testing.T, from, to side) *swap {
	t.Helper()
	s := &swap{t: t, dir: dataDir(t), db: stack.Database(t, firstSchema, secondSchema)}
	variables := func(b side) []string {
		pairs := []string{"KIND=" + b.kind}
		options := b.options(t, s.db)
		for _, name := range slices.Sorted(maps.Keys(options)) {
			pairs = append(pairs, "OPTIONS__"+name+"="+options[name])
		}
		return pairs
	}
	s.from, s.to = variables(from), variables(to)
	return s
}

// config is the environment of a process with a broker, and one that it replaces, if any.
func (s *swap) config(broker, old []string) []string {
	env := []string{
		"LECTERN_CONFIG=postgres", "LECTERN_POSTGRES__OWNER_DSN=" + s.db.Owner, "LECTERN_POSTGRES__APP_DSN=" + s.db.App,
		"LECTERN_POSTGRES__WORKER_DSN=" + s.db.Worker, "LECTERN_POSTGRES__RELAY_DSN=" + s.db.Relay,
		"LECTERN_POSTGRES__MAX_CONNS=4", "LECTERN_WORKERS__CONCURRENCY=1",
	}
	for _, pair := range broker {
		env = append(env, "LECTERN_BROKER__"+pair)
	}
	for _, pair := range old {
		env = append(env, "LECTERN_BROKER__ALSO_CONSUME__0__"+pair)
	}
	return env
}

// run runs a command to its end and returns its standard output, and whether it went well.
func (s *swap) run(env []string, args ...string) (string, bool) {
	s.t.Helper()
	log := &tail{}
	cmd := command(s.t.Context(), s.dir, env, args...)
	cmd.Stderr = log
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		require.ErrorAs(s.t, err, &exit, log)
		s.t.Logf("lectern %s: %s", strings.Join(args, " "), log)
	}
	return string(out), err == nil
}

// pending returns what `lectern topics` says is left on each broker of a config.
func (s *swap) pending(env []string) []int64 {
	s.t.Helper()
	out, _ := s.run(env, "topics", "--json")
	var brokers []struct {
		Error   string `json:"error"`
		Pending int64  `json:"pending"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(out), &brokers), out)
	pending := make([]int64, len(brokers))
	for i, b := range brokers {
		require.Empty(s.t, b.Error)
		pending[i] = b.Pending
	}
	return pending
}

func (a author) initiate(course string) {
	a.t.Helper()
	_, err := a.InitiateGeneration(a.t.Context(), connect.NewRequest(&lecternv1.InitiateGenerationRequest{
		CourseId: course, IdempotencyKey: uuid.NewString(),
	}))
	require.NoError(a.t, err)
}

// begin starts many courses, some of them with documents, whose jobs take long.
func (a author) begin() []string {
	a.t.Helper()
	var courses []string
	for i := range 18 {
		course := a.create(lecternv1.Style_STYLE_PRACTICAL, nil)
		if i < 3 {
			a.upload(course)
		}
		courses = append(courses, course)
	}
	for _, course := range courses {
		a.initiate(course)
	}
	return courses
}

func (a author) countIn(courses []string, state lecternv1.State) int {
	a.t.Helper()
	n := 0
	for _, course := range courses {
		if a.get(course).GetCourse().GetState() == state {
			n++
		}
	}
	return n
}

// complete waits for courses, and checks that each of their jobs had its effect once.
func (a author) complete(courses ...string) {
	a.t.Helper()
	for _, course := range courses {
		a.waitForState(course, lecternv1.State_STATE_COMPLETED)
		a.validateFSMEvents(course)
	}
}

func (a author) completeOne() {
	a.t.Helper()
	course := a.create(lecternv1.Style_STYLE_PRACTICAL, nil)
	a.initiate(course)
	a.complete(course)
}

func (s *swap) serve(env []string) author {
	s.t.Helper()
	running := serve(s.t, s.dir, env...)
	return author{t: s.t, server: running, CourseServiceClient: running.client("connect")}
}

// A broker is swapped while it holds jobs, as docs/swapping-brokers.md says:
// none of them is lost or has its effect twice.
func TestBrokersAreSwappedWithWorkInFlight(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string]struct{ from, to side }{
		"from postgres to postgres": {onPostgres(firstSchema), onPostgres(secondSchema)},
		"from postgres to memory":   {onPostgres(firstSchema), inMemory()},
	} {
		for how, sig := range map[string]os.Signal{"in order": syscall.SIGTERM, "by a crash": syscall.SIGKILL} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				s := newSwap(t, pair.from, pair.to)
				before, during, after := s.config(s.from, nil), s.config(s.to, s.from), s.config(s.to, nil)
				_, ok := s.run(before, "migrate", "up")
				require.True(t, ok)

				a := s.serve(before)
				courses := a.begin()
				eventually(t, "some course is done", patience, func() bool {
					return a.countIn(courses, lecternv1.State_STATE_COMPLETED) > 0
				})
				require.Less(t, a.countIn(courses, lecternv1.State_STATE_COMPLETED), len(courses), "nothing was in flight")
				_ = a.server.stop(t, sig)
				require.Positive(t, s.pending(during)[1], "the old broker held nothing")

				a = s.serve(during)
				courses = append(courses, a.begin()...)
				a.complete(courses...)
				a.waitForOutboxProcessing()
				eventually(t, "the old broker is drained", patience, func() bool { return s.pending(during)[1] == 0 })
				require.NoError(t, a.server.stop(t, syscall.SIGTERM))

				a = s.serve(after) // consumes the new broker alone
				a.completeOne()
				require.NoError(t, a.server.stop(t, syscall.SIGTERM))
				require.Zero(t, s.pending(during)[1], "a job went to the old broker")
				a = s.serve(before) // back again
				a.completeOne()
				for _, course := range courses {
					a.validateFSMEvents(course) // nothing was done once more since
				}
			})
		}
	}
}

func TestTheServiceDoesWithoutAnOldBrokerThatIsDown(t *testing.T) {
	t.Parallel()
	s := serve(t, dataDir(t), "LECTERN_BROKER__ALSO_CONSUME__0__KIND=postgres",
		"LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__DSN=postgres://old:secret@127.0.0.1:1/old")
	a := author{t: t, server: s, CourseServiceClient: s.client("connect")}
	a.completeOne()
	require.Contains(t, s.log.String(), "workers of broker.also_consume.0 (postgres) broke off")
	require.Contains(t, s.log.String(), "backup listener of broker.also_consume.0 (postgres) broke off")
	require.NotContains(t, s.log.String(), "secret")
}

func TestTopicsOfAServerOfOurOwn(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	inMemory := []string{"LECTERN_BROKER__KIND=memory", "LECTERN_BROKER__ALSO_CONSUME__0__KIND=postgres"}
	for _, run := range []struct {
		env, args []string
		code      int
		says      string
	}{
		{nil, []string{"topics"}, 1, "missing"},
		{nil, []string{"topics", "--create"}, 0, "rows of lectern_broker.messages"},
		{nil, []string{"topics"}, 0, "document-processing_dead"},
		{inMemory, []string{"topics"}, 1, "broker.also_consume.0 (postgres) is drained"},
		{nil, []string{"config", "check"}, 0, "Lectern starts this server itself"},
	} {
		cmd := command(t.Context(), dir, run.env, run.args...)
		out, err := cmd.CombinedOutput()
		require.Equal(t, run.code, cmd.ProcessState.ExitCode(), "%v: %v\n%s", run.args, err, out)
		require.Contains(t, string(out), run.says)
	}
}
