package e2e_test

import (
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

// brokerAt is a broker of a kind; at says where the test has one, as options by
// what their variables end in.
type brokerAt struct {
	kind string
	at   func(*testing.T, *stack.DB) map[string]string
}

// The schemas of two brokers on Postgres.
const (
	firstSchema  = "broker_a"
	secondSchema = "broker_b"
)

// lease is short, that a test need not wait long for what a killed server had in hand.
const lease = "2s"

func onPostgres(schema string) brokerAt {
	return brokerAt{"postgres", func(_ *testing.T, db *stack.DB) map[string]string {
		return map[string]string{"DSN": db.Broker, "SCHEMA": schema, "LEASE": lease}
	}}
}

func inMemory() brokerAt {
	return brokerAt{"memory", func(*testing.T, *stack.DB) map[string]string { return nil }}
}

func onRedis() brokerAt {
	return brokerAt{"redis", func(t *testing.T, _ *stack.DB) map[string]string {
		t.Helper()
		server, err := redis.ParseURL(stack.Redis(t))
		require.NoError(t, err)
		return map[string]string{
			"ADDRESSES": server.Addr, "DB": strconv.Itoa(server.DB),
			"LOGIN__USER": server.Username, "LOGIN__PASSWORD": server.Password, "LEASE": lease,
		}
	}}
}

func onKafka() brokerAt {
	return brokerAt{"kafka", func(t *testing.T, _ *stack.DB) map[string]string {
		t.Helper()
		k := stack.Kafka(t)
		return map[string]string{"ADDRESSES": strings.Join(k.Addresses, ","), "TOPIC_PREFIX": k.Prefix, "LEASE": lease}
	}}
}

func onNATS() brokerAt {
	return brokerAt{"nats", func(t *testing.T, _ *stack.DB) map[string]string {
		t.Helper()
		n := stack.NATS(t)
		return map[string]string{"ADDRESSES": strings.TrimPrefix(n.Address, "nats://"), "TOPIC_PREFIX": n.Prefix, "LEASE": lease}
	}}
}

// variables returns the ends of the broker's variables, with their values.
func (b brokerAt) variables(t *testing.T, db *stack.DB) []string {
	t.Helper()
	pairs := []string{"KIND=" + b.kind}
	options := b.at(t, db)
	for _, name := range slices.Sorted(maps.Keys(options)) {
		pairs = append(pairs, "OPTIONS__"+name+"="+options[name])
	}
	return pairs
}

// deployment is a database, and a folder, for processes whose broker is any.
type deployment struct {
	t   *testing.T
	dir string
	db  *stack.DB
}

// newDeployment makes one whose database is migrated, for brokers in some schemas.
func newDeployment(t *testing.T, brokerSchemas ...string) deployment {
	t.Helper()
	d := deployment{t: t, dir: dataDir(t), db: stack.Database(t, brokerSchemas...)}
	_, ok := d.run(d.config([]string{"KIND=memory"}, nil), "migrate", "up")
	require.True(t, ok)
	return d
}

// config is the environment of a process with a broker, and one that it replaces, if any.
func (d deployment) config(broker, old []string) []string {
	env := []string{
		"LECTERN_CONFIG=postgres", "LECTERN_POSTGRES__OWNER_DSN=" + d.db.Owner, "LECTERN_POSTGRES__APP_DSN=" + d.db.App,
		"LECTERN_POSTGRES__WORKER_DSN=" + d.db.Worker, "LECTERN_POSTGRES__RELAY_DSN=" + d.db.Relay,
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
func (d deployment) run(env []string, args ...string) (string, bool) {
	d.t.Helper()
	log := &tail{}
	cmd := command(d.t.Context(), d.dir, env, args...)
	cmd.Stderr = log
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		require.ErrorAs(d.t, err, &exit, log)
		d.t.Logf("lectern %s: %s", strings.Join(args, " "), log)
	}
	return string(out), err == nil
}

func (d deployment) serve(env []string) author {
	d.t.Helper()
	running := serve(d.t, d.dir, env...)
	return author{t: d.t, server: running, CourseServiceClient: running.client("connect")}
}

// holdings is what `lectern topics` says of a broker.
type holdings struct {
	Error       string `json:"error"`
	Complete    bool   `json:"complete"`
	Pending     int64  `json:"pending"`
	DeadLetters int64  `json:"dead_letters"`
}

// ask asks the broker of a config, and the first of those that it replaces, if any.
func (d deployment) ask(env []string) (broker, old holdings) {
	d.t.Helper()
	out, _ := d.run(env, "topics", "--json")
	var all []holdings
	require.NoError(d.t, json.Unmarshal([]byte(out), &all), out)
	for _, b := range all {
		require.Empty(d.t, b.Error)
	}
	return all[0], append(all, holdings{})[1]
}

// broker.kind, and where that broker is, is all that a config says differently.
func TestCoursesAreMadeOnEveryBroker(t *testing.T) {
	t.Parallel()
	for _, b := range []brokerAt{onRedis(), onKafka(), onNATS()} { // TestT053 has Postgres
		t.Run(b.kind, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			env := d.config(b.variables(t, d.db), nil)
			before, _ := d.ask(env)
			require.False(t, before.Complete, "this broker was used before")

			a := d.serve(env)
			titleOnly(a)
			automaticPipeline(a)
			eventually(t, "nothing is pending", patience, func() bool {
				after, _ := d.ask(env)
				require.True(t, after.Complete)
				require.Zero(t, after.DeadLetters)
				return after.Pending == 0
			})
		})
	}
}
