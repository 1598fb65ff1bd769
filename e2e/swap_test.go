package e2e_test

import (
	"os"
	"syscall"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
)

// swap is a deployment whose broker is swapped.
type swap struct {
	deployment
	before, during, after []string // the environments
}

func newSwap(t *testing.T, from, to brokerAt) swap {
	t.Helper()
	s := swap{deployment: newDeployment(t, firstSchema, secondSchema)}
	first, second := from.variables(t, s.db), to.variables(t, s.db)
	s.before, s.during, s.after = s.config(first, nil), s.config(second, first), s.config(second, nil)
	return s
}

// left returns what is pending on the old broker, as seen while both are consumed.
func (s swap) left() int64 {
	s.t.Helper()
	_, old := s.ask(s.during)
	return old.Pending
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

// A broker is swapped while it holds jobs, as docs/swapping-brokers.md says:
// none of them is lost or has its effect twice. One pair of kinds is swapped in
// order and by a crash; each of the others in one of the two ways, in turn,
// because a swap takes long.
func TestBrokersAreSwappedWithWorkInFlight(t *testing.T) {
	t.Parallel()
	for name, swapped := range map[string]struct {
		from, to brokerAt
		end      os.Signal
	}{
		"from postgres to postgres in order":   {onPostgres(firstSchema), onPostgres(secondSchema), syscall.SIGTERM},
		"from postgres to postgres by a crash": {onPostgres(firstSchema), onPostgres(secondSchema), syscall.SIGKILL},
		"from postgres to memory in order":     {onPostgres(firstSchema), inMemory(), syscall.SIGTERM},
		"from postgres to redis by a crash":    {onPostgres(firstSchema), onRedis(), syscall.SIGKILL},
		"from redis to kafka in order":         {onRedis(), onKafka(), syscall.SIGTERM},
		"from kafka to nats by a crash":        {onKafka(), onNATS(), syscall.SIGKILL},
		"from nats to postgres in order":       {onNATS(), onPostgres(secondSchema), syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newSwap(t, swapped.from, swapped.to).swapAndBack(swapped.end)
		})
	}
}

func (s swap) swapAndBack(end os.Signal) {
	t := s.t
	t.Helper()
	a := s.serve(s.before)
	courses := a.begin()
	eventually(t, "some course is done", patience, func() bool {
		return a.countIn(courses, lecternv1.State_STATE_COMPLETED) > 0
	})
	require.Less(t, a.countIn(courses, lecternv1.State_STATE_COMPLETED), len(courses), "nothing was in flight")
	_ = a.server.stop(t, end)
	require.Positive(t, s.left(), "the old broker held nothing")

	a = s.serve(s.during)
	courses = append(courses, a.begin()...)
	a.complete(courses...)
	a.waitForOutboxProcessing()
	eventually(t, "the old broker is drained", patience, func() bool { return s.left() == 0 })
	require.NoError(t, a.server.stop(t, syscall.SIGTERM))

	a = s.serve(s.after) // consumes the new broker alone
	a.completeOne()
	require.NoError(t, a.server.stop(t, syscall.SIGTERM))
	require.Zero(t, s.left(), "a job went to the old broker")
	a = s.serve(s.before) // back again
	a.completeOne()
	for _, course := range courses {
		a.validateFSMEvents(course) // nothing was done once more since
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
