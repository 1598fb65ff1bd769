package configs_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/configs"
	"lectern/domain"
)

const identity = `
identity:
  organization_id: 4f3f9c52-6a0e-4d0b-9c39-6f3a3a3c1d01
  user_id: 4f3f9c52-6a0e-4d0b-9c39-6f3a3a3c1d02
`

func TestEveryBuiltInConfigLoads(t *testing.T) {
	t.Parallel()
	environ := map[string][]string{"postgres": {
		"LECTERN_POSTGRES__APP_DSN=a", "LECTERN_POSTGRES__WORKER_DSN=w", "LECTERN_POSTGRES__RELAY_DSN=r",
	}}
	require.Subset(t, configs.Names(), []string{"embedded", "memory", "postgres"})
	for _, name := range configs.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(name, environ[name]...)
			r.BrokerKinds = configs.Names() // each broker has one of its name
			_, err := configs.Load(r)
			require.NoError(t, err)
		})
	}
}

// So that the comments of embedded.yaml, which call its values the defaults,
// stay true.
func TestTheEmbeddedProfileShowsTheDefaults(t *testing.T) {
	t.Parallel()
	got, err := configs.Load(request(""))
	require.NoError(t, err)
	want := configs.Default()
	want.Identity = got.Identity
	require.Equal(t, want, got)
}

func TestTheLaterSourceWins(t *testing.T) {
	t.Parallel()
	r := request(write(t, identity+`
listen: 127.0.0.1:1
data_dir: /from/file
pipeline: manual
relay: {batch_size: 7, poll_min: 20ms}
broker: {kind: postgres, options: {a: 1, deep: {b: [x]}}}
cache: {kind: memory, options: {a: 3}}
log: {level: debug}
`),
		"LECTERN_DATA_DIR=/from/env", "LECTERN_LISTEN=127.0.0.1:2", "LECTERN_RELAY__BATCH_SIZE=8", "LECTERN_RELAY__LISTEN=false", "LECTERN_PIPELINE=",
		"LECTERN_BROKER__OPTIONS__A=2", "LECTERN_BROKER__OPTIONS__DSN=postgres://x", "LECTERN_CACHE__KIND=redis", "LECTERN_CACHE__OPTIONS__URL=redis://x", "LECTERN_POSTGRES__EMBEDDED=true",
		"LECTERN_CONFIG=elsewhere", "LECTERN_TEST_POSTGRES=a test's", "OTHER_LISTEN=x")
	r.Flags = map[string]string{"listen": "localhost:3"}

	got, err := configs.Load(r)

	require.NoError(t, err)
	require.Equal(t, "localhost:3", got.Listen)
	require.Equal(t, "/from/env", got.DataDir)
	require.Equal(t, domain.PipelineManual, got.Pipeline.Mode, "an empty variable counts as not set")
	require.Equal(t, configs.Relay{Engine: configs.EngineBatch, Lanes: 2, BatchSize: 8, PollMin: 20 * time.Millisecond, PollMax: 30 * time.Second, MaxAttempts: 5, Lease: 10 * time.Second, OnDead: domain.OnDeadContinue}, got.Relay)
	require.Equal(t, slog.LevelDebug, got.Log.Level)
	require.Equal(t, map[string]any{"a": "2", "deep": map[string]any{"b": []any{"x"}}, "dsn": "postgres://x"}, got.Broker.Options)
	require.Equal(t, configs.Cache{Kind: "redis", Options: map[string]any{"a": 3, "url": "redis://x"}}, got.Cache)
}

func TestAnEmptyValueLeavesTheDefault(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a key":     "listen:\n",
		"a section": "relay:\n",
		"options":   "broker: {options: }\n",
		"nothing":   "# only a comment\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := configs.Load(request(write(t, text+identity)))
			require.NoError(t, err)
			want := configs.Default()
			want.Identity = got.Identity
			require.Equal(t, want, got)
		})
	}
}

func TestThePipelinesModeMayStandForItsSection(t *testing.T) {
	t.Parallel()
	file := write(t, "pipeline: manual\n"+identity)
	for name, tc := range map[string]struct {
		file    string
		environ []string
		want    configs.Pipeline
	}{
		"in a file":            {file, nil, configs.Pipeline{Mode: domain.PipelineManual, StallAfter: 30 * time.Minute}},
		"beside another key":   {file, []string{"LECTERN_PIPELINE__STALL_AFTER=0s"}, configs.Pipeline{Mode: domain.PipelineManual}},
		"in a variable":        {"", []string{"LECTERN_PIPELINE=manual"}, configs.Pipeline{Mode: domain.PipelineManual, StallAfter: 30 * time.Minute}},
		"in one over the file": {file, []string{"LECTERN_PIPELINE=automatic"}, configs.Default().Pipeline},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := configs.Load(request(tc.file, tc.environ...))
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Pipeline)
		})
	}
}

func TestWhatAConfigMayNotSayIsNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text    string
		environ []string
		use     configs.Use
		want    []string // each must be a line of the error
	}{
		"a time after which a course stands still that its job may need": {
			text: "workers: {job_timeout: 5m}\npipeline: {mode: magic, stall_after: 9m59s}\n",
			want: []string{
				"FILE:2: pipeline.mode: \"magic\" is not one of automatic, manual",
				"FILE:2: pipeline.stall_after: must be 0s (never) or twice workers.job_timeout (5m0s) or more, is 9m59s: " +
					"a job whose worker died is begun anew by another",
			},
		},
		"a mode of the pipeline by itself": {
			text: "pipeline: magic\n",
			want: []string{"FILE:1: pipeline.mode: \"magic\" is not one of automatic, manual"},
		},
		"an unknown key": {
			text: "lissten: x\n",
			want: []string{"FILE:1: lissten: unknown key; allowed here: listen, roles, data_dir, shutdown_timeout, shutdown_delay, postgres, broker, cache, relay, watch, workers, " +
				"pipeline, retention, documents, generator, identity, log"},
		},
		"an unknown key in a section": {
			text: "relay:\n  poll_min: 1s\n  batchsize: 1\n",
			want: []string{"FILE:3: relay.batchsize: unknown key; allowed here: engine, lanes, batch_size, poll_min, poll_max, max_attempts, lease, on_dead, listen"},
		},
		"a key in another case": {
			text: "Listen: 127.0.0.1:1\n",
			want: []string{"FILE:1: Listen: unknown key; allowed here: listen, roles, data_dir, shutdown_timeout, shutdown_delay, postgres, broker, cache, relay, watch, workers, " +
				"pipeline, retention, documents, generator, identity, log"},
		},
		"an unknown variable": {
			environ: []string{"LECTERN_RELAY__BATCH=1"},
			want: []string{"LECTERN_RELAY__BATCH: unknown variable; allowed: LECTERN_RELAY__ENGINE, LECTERN_RELAY__LANES, LECTERN_RELAY__BATCH_SIZE, LECTERN_RELAY__POLL_MIN, " +
				"LECTERN_RELAY__POLL_MAX, LECTERN_RELAY__MAX_ATTEMPTS, LECTERN_RELAY__LEASE, LECTERN_RELAY__ON_DEAD, LECTERN_RELAY__LISTEN"},
		},
		"an unknown variable, though empty": {
			environ: []string{"LECTERN_IDENTITY__USER="},
			want:    []string{"LECTERN_IDENTITY__USER: unknown variable; allowed: LECTERN_IDENTITY__ORGANIZATION_ID, LECTERN_IDENTITY__USER_ID"},
		},
		"a variable for a section": {
			environ: []string{"LECTERN_LOG=debug"},
			want:    []string{"LECTERN_LOG: unknown variable; allowed: LECTERN_LOG__LEVEL, LECTERN_LOG__FORMAT"},
		},
		"an unknown kind of broker": {
			text: "broker: {kind: rabbit}\n",
			want: []string{`FILE:1: broker.kind: "rabbit" is not one of kafka, memory, postgres`},
		},
		"an unknown kind by the environment": {
			environ: []string{"LECTERN_BROKER__KIND=rabbit"},
			want:    []string{`LECTERN_BROKER__KIND: broker.kind: "rabbit" is not one of kafka, memory, postgres`},
		},
		"an unknown kind of cache": {
			text: "cache: {kind: memcached}\n",
			want: []string{`FILE:1: cache.kind: "memcached" is not one of memory, redis`},
		},
		"a broker to be replaced with an unknown key": {
			text: "broker:\n  also_consume:\n    - kind: memory\n      option: {}\n    - kind: rabbit\n",
			want: []string{
				"FILE:4: broker.also_consume.0.option: unknown key; allowed here: kind, options",
				`FILE:5: broker.also_consume.1.kind: "rabbit" is not one of kafka, memory, postgres`,
			},
		},
		"brokers to be replaced that are none": {
			text: "broker:\n  also_consume: [memory, {kind: memory, options: 5}, {}]\n",
			want: []string{
				"FILE:2: broker.also_consume.0: must hold keys, not a value",
				"FILE:2: broker.also_consume.1.options: must hold keys, not a value",
				`broker.also_consume.0.kind: "" is not one of kafka, memory, postgres`,
				`broker.also_consume.2.kind: "" is not one of kafka, memory, postgres`,
			},
		},
		"brokers to be replaced that are no list": {
			text: "broker:\n  also_consume: {kind: memory}\n",
			want: []string{"FILE:2: broker.also_consume: must be a list of brokers, each with kind and options"},
		},
		"a broker to be replaced by a variable with another number": {
			environ: []string{"LECTERN_BROKER__ALSO_CONSUME__1__KIND=memory"},
			want:    []string{"broker.also_consume: has 1 brokers, but none is number 0: count from 0, without a gap"},
		},
		"variables for a broker to be replaced that there are not": {
			environ: []string{"LECTERN_BROKER__ALSO_CONSUME=memory", "LECTERN_BROKER__ALSO_CONSUME__0=memory", "LECTERN_BROKER__ALSO_CONSUME__0__KINDS=x"},
			want: []string{
				"LECTERN_BROKER__ALSO_CONSUME: unknown variable; allowed: LECTERN_BROKER__ALSO_CONSUME__N__KIND, LECTERN_BROKER__ALSO_CONSUME__N__OPTIONS__*",
				"LECTERN_BROKER__ALSO_CONSUME__0: unknown variable; allowed: LECTERN_BROKER__ALSO_CONSUME__0__KIND, LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__*",
				"LECTERN_BROKER__ALSO_CONSUME__0__KINDS: unknown variable; allowed: LECTERN_BROKER__ALSO_CONSUME__0__KIND, LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__*",
			},
		},
		"a secret that was hidden": {
			environ: []string{"LECTERN_BROKER__OPTIONS__PASSWORD=(hidden)"},
			want: []string{"LECTERN_BROKER__OPTIONS__PASSWORD: broker.options.password: holds (hidden) where a secret was: " +
				"give the whole in LECTERN_BROKER__OPTIONS__PASSWORD"},
		},
		"a value for a section": {
			text: "relay: 5\nbroker: {options: yes}\ncache: {options: 1}\n",
			want: []string{
				"FILE:1: relay: must hold keys, not a value", "FILE:2: broker.options: must hold keys, not a value",
				"FILE:3: cache.options: must hold keys, not a value",
			},
		},
		"a section for a value": {
			text: "listen: {host: x}\n",
			want: []string{"FILE:1: listen: must be text, not map[host:x]: put it in quotes"},
		},
		"values of other types": {
			text: "listen: 8080\nrelay:\n  batch_size: 1.5\n  poll_min: 5\n  poll_max: soon\n  listen: 1\npostgres: {embedded: 1}\nlog: {level: loud}\n",
			want: []string{
				"FILE:1: listen: must be text, not 8080: put it in quotes",
				"FILE:3: relay.batch_size: must be a whole number, not 1.5",
				"FILE:4: relay.poll_min: must be a time with its unit, such as 500ms, 30s or 5m",
				"FILE:5: relay.poll_max: must be a time with its unit, such as 500ms, 30s or 5m",
				"FILE:6: relay.listen: must be true or false, not 1",
				"FILE:7: postgres.embedded: must be true or false, not 1",
				`FILE:8: log.level: "loud" is not one of debug, info, warn, error`,
			},
		},
		"values out of bounds": {
			text: "relay:\n  batch_size: 0\n  poll_min: 10s\n  poll_max: 5s\n  on_dead: drop\n  engine: river\nworkers: {concurrency: -1}\n" +
				"documents:\n  max_bytes: 67108865\npipeline: sometimes\ngenerator: {kind: magic}\n",
			want: []string{
				"FILE:2: relay.batch_size: must be 1 to 10000, is 0",
				"FILE:4: relay.poll_max: must be relay.poll_min (10s) or more, is 5s",
				`FILE:5: relay.on_dead: "drop" is not one of continue, block`,
				`FILE:6: relay.engine: "river" is not one of batch, watermill`,
				"FILE:7: workers.concurrency: must be 1 to 1000, is -1",
				"FILE:9: documents.max_bytes: must be 1 to 67108864, is 67108865",
				`FILE:10: pipeline.mode: "sometimes" is not one of automatic, manual`,
				`FILE:11: generator.kind: "magic" is not one of openai, outline`,
			},
		},
		"a clean-up that can't be": {
			text: "retention:\n  scheduler: cron\n  look_every: 1ms\n  keys_every: 1s\n  entries_every: 0s\n  entries_after: 720h\n" +
				"  inbox_every: 87841h\n  inbox_after: 719h\n  batch: 0\n",
			want: []string{
				`FILE:2: retention.scheduler: "cron" is not one of service, pg_cron, off`,
				"FILE:3: retention.look_every: must be 1s to 24h0m0s, is 1ms",
				"FILE:4: retention.keys_every: must be 1m0s to 87840h0m0s, is 1s",
				"FILE:5: retention.entries_every: must be 1m0s to 87840h0m0s, is 0s",
				"FILE:7: retention.inbox_every: must be 1m0s to 87840h0m0s, is 87841h0m0s",
				"FILE:8: retention.inbox_after: must be retention.entries_after (720h0m0s) or more, is 719h0m0s: an inbox row outlives its entry",
				"FILE:9: retention.batch: must be 1 to 10000, is 0",
			},
		},
		"ages that would delete what is new": {
			text: "retention: {entries_after: 59m, inbox_after: 59m}\n",
			want: []string{
				"FILE:1: retention.entries_after: must be 1h0m0s to 87840h0m0s, is 59m0s",
				"FILE:1: retention.inbox_after: must be 1h0m0s to 87840h0m0s, is 59m0s",
			},
		},
		"pg_cron beside the embedded server": {
			text: "retention: {scheduler: pg_cron}\n",
			want: []string{"FILE:1: retention.scheduler: the server that postgres.embedded starts has no pg_cron: use service"},
		},
		"an address that others reach": {
			text: "listen: 0.0.0.0:8080\n",
			want: []string{"FILE:1: listen: 0.0.0.0:8080 can be reached from other machines, and everyone who calls is the fixed identity: " +
				"use a loopback address, such as 127.0.0.1:8080"},
		},
		"an address that is none": {
			environ: []string{"LECTERN_LISTEN=8080"},
			want:    []string{`LECTERN_LISTEN: listen: "8080" is not host:port, such as 127.0.0.1:8080`},
		},
		"a Postgres without addresses": {
			text: "postgres:\n  embedded: false\n  relay_dsn: postgres://r\n",
			want: []string{
				"postgres.app_dsn: must be set while postgres.embedded is false: give the address in LECTERN_POSTGRES__APP_DSN",
				"postgres.worker_dsn: must be set while postgres.embedded is false: give the address in LECTERN_POSTGRES__WORKER_DSN",
			},
		},
		"a Postgres to migrate without the owner's address": {
			text: "postgres: {embedded: false}\n", use: configs.ForMigration,
			want: []string{"postgres.owner_dsn: must be set while postgres.embedded is false: give the address in LECTERN_POSTGRES__OWNER_DSN"},
		},
		"a Postgres to make roles in without an administrator's address": {
			text: "postgres: {embedded: false}\n", use: configs.ForRoles,
			want: []string{"postgres.admin_dsn: must be set while postgres.embedded is false: give the address in LECTERN_POSTGRES__ADMIN_DSN"},
		},
		"an address beside the embedded server": {
			environ: []string{"LECTERN_POSTGRES__APP_DSN=postgres://a"},
			want:    []string{"LECTERN_POSTGRES__APP_DSN: postgres.app_dsn: must not be set beside postgres.embedded: remove one of them"},
		},
		"problems of the file, the environment and the rules at once": {
			text: "oops: 1\nrelay: {batch_size: many}\nworkers: {max_attempts: 0}\n", environ: []string{"LECTERN_OUCH="},
			want: []string{
				"FILE:1: oops: unknown key; allowed here: listen, roles, data_dir, shutdown_timeout, shutdown_delay, postgres, broker, cache, relay, watch, workers, " +
					"pipeline, retention, documents, generator, identity, log",
				"LECTERN_OUCH: unknown variable; allowed: " + allVariables,
				"FILE:2: relay.batch_size: must be a whole number, not many",
				"FILE:3: workers.max_attempts: must be 1 to 100, is 0",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := write(t, tc.text+identity)
			r := request(file, tc.environ...)
			r.Use = tc.use

			_, err := configs.Load(r)

			require.Error(t, err)
			head, problems, _ := strings.Cut(strings.ReplaceAll(err.Error(), file, "FILE"), "\n")
			require.Equal(t, "read config FILE:", head)
			require.ElementsMatch(t, tc.want, strings.Split(problems, "\n"))
		})
	}
}

const allVariables = "LECTERN_LISTEN, LECTERN_ROLES, LECTERN_DATA_DIR, LECTERN_SHUTDOWN_TIMEOUT, LECTERN_SHUTDOWN_DELAY, LECTERN_POSTGRES__EMBEDDED, LECTERN_POSTGRES__ADMIN_DSN, LECTERN_POSTGRES__OWNER_DSN, " +
	"LECTERN_POSTGRES__APP_DSN, LECTERN_POSTGRES__WORKER_DSN, LECTERN_POSTGRES__RELAY_DSN, LECTERN_POSTGRES__ROLE_PREFIX, " +
	"LECTERN_POSTGRES__MAX_CONNS, LECTERN_BROKER__KIND, LECTERN_BROKER__OPTIONS__*, " +
	"LECTERN_BROKER__ALSO_CONSUME__N__KIND, LECTERN_BROKER__ALSO_CONSUME__N__OPTIONS__*, " +
	"LECTERN_CACHE__KIND, LECTERN_CACHE__OPTIONS__*, LECTERN_RELAY__ENGINE, LECTERN_RELAY__LANES, LECTERN_RELAY__BATCH_SIZE, " +
	"LECTERN_RELAY__POLL_MIN, LECTERN_RELAY__POLL_MAX, LECTERN_RELAY__MAX_ATTEMPTS, LECTERN_RELAY__LEASE, LECTERN_RELAY__ON_DEAD, LECTERN_RELAY__LISTEN, LECTERN_WATCH__LISTEN, LECTERN_WORKERS__CONCURRENCY, " +
	"LECTERN_WORKERS__JOB_TIMEOUT, LECTERN_WORKERS__MAX_ATTEMPTS, LECTERN_PIPELINE__MODE, LECTERN_PIPELINE__STALL_AFTER, LECTERN_RETENTION__SCHEDULER, " +
	"LECTERN_RETENTION__LOOK_EVERY, LECTERN_RETENTION__KEYS_EVERY, LECTERN_RETENTION__ENTRIES_EVERY, " +
	"LECTERN_RETENTION__ENTRIES_AFTER, LECTERN_RETENTION__INBOX_EVERY, LECTERN_RETENTION__INBOX_AFTER, " +
	"LECTERN_RETENTION__BATCH, LECTERN_DOCUMENTS__KIND, LECTERN_DOCUMENTS__OPTIONS__*, LECTERN_DOCUMENTS__MAX_BYTES, LECTERN_DOCUMENTS__SPEAKER_NOTES, LECTERN_GENERATOR__KIND, LECTERN_GENERATOR__OPTIONS__*, " +
	"LECTERN_IDENTITY__ORGANIZATION_ID, LECTERN_IDENTITY__USER_ID, LECTERN_LOG__LEVEL, LECTERN_LOG__FORMAT, LECTERN_CONFIG"

func TestAnIdentityIsNeeded(t *testing.T) {
	t.Parallel()
	file := write(t, "identity: {user_id: me}\n")
	_, err := configs.Load(request(file))
	require.ErrorContains(t, err, file+`:1: identity.user_id: must be a UUID, not "me"`)
	require.ErrorContains(t, err, "identity.organization_id: must be set: it is the organization that callers act for")
}

func TestBrokenYAMLIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"bad indentation": {"relay:\n  a: 1\n b: 2\n", "my.yaml:3: did not find expected key"},
		"an open bracket": {"listen: a\nrelay:\n  a: 1\n  b: 2\n  c: [1, 2\nlog: {}\n", "my.yaml:5: did not find expected ',' or ']'"},
		"an open quote":   {"listen: a\ndata_dir: \"b\nrelay:\n  a: 1\n", "my.yaml:2: found unexpected end of stream"},
		"a tab":           {"listen: a\nrelay:\n\ta: 1\n", "my.yaml:3: found character that cannot start any token"},
		"no anchor":       {"listen: a\ndata_dir: *b\n", "my.yaml:2: unknown anchor 'b' referenced"},
		"in line 1":       {"listen: }\n", "my.yaml:1: did not find expected node content"},
		"a key twice":     {"listen: a\nlisten: b\n", `line 2: mapping key "listen" already defined at line 1`},
		"a list":          {"- a\n", "my.yaml:1: must be a section with keys"},
		"a secret":        {"\ns3cret\n", "my.yaml:2: must be a section with keys"},
		"two documents":   {"listen: a\n---\nlisten: b\n", "it has more than one document"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := configs.Load(request(write(t, tc.text)))
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
}

func TestAConfigThatIsNotThereNamesTheBuiltInOnes(t *testing.T) {
	t.Parallel()
	_, err := configs.Load(request("rabbit"))
	require.EqualError(t, err, "read config rabbit: there is no such file, and the built-in configs are "+strings.Join(configs.Names(), ", "))
}

func request(source string, environ ...string) configs.Request {
	return configs.Request{
		Source: source, Environ: environ, BrokerKinds: []string{"kafka", "memory", "postgres"}, CacheKinds: []string{"memory", "redis"},
		DocumentKinds: []string{"folder", "s3"}, GeneratorKinds: []string{"openai", "outline"},
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "my.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}
