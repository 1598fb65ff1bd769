package configs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/configs"
)

func TestRolesAreAnySubsetByFileEnvironmentAndFlag(t *testing.T) {
	t.Parallel()
	shared := identity + "postgres: {embedded: false, app_dsn: a, worker_dsn: w, relay_dsn: r}\nbroker: {kind: postgres}\n"
	for name, tc := range map[string]struct {
		text    string
		environ []string
		flag    string
		want    configs.Roles
	}{
		"all by default":         {want: configs.AllRoles()},
		"all when left empty":    {text: "roles:\n", want: configs.AllRoles()},
		"one by the file":        {text: "roles: [relay]\n", want: configs.Roles{configs.RoleRelay}},
		"two by the environment": {text: "roles: [relay]\n", environ: []string{"LECTERN_ROLES=worker, api"}, want: configs.Roles{configs.RoleWorker, configs.RoleAPI}},
		"one by the flag":        {environ: []string{"LECTERN_ROLES=relay"}, flag: "api", want: configs.Roles{configs.RoleAPI}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(write(t, shared+tc.text), tc.environ...)
			if tc.flag != "" {
				r.Flags = map[string]string{"roles": tc.flag}
			}
			got, err := configs.Load(r)
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Roles)
		})
	}
}

func TestWhatRolesMayNotBeIsNamed(t *testing.T) {
	t.Parallel()
	shared := identity + "postgres: {embedded: false, app_dsn: a, worker_dsn: w, relay_dsn: r}\nbroker: {kind: postgres}\n"
	for name, tc := range map[string]struct {
		text    string
		environ []string
		want    []string
	}{
		"an unknown one": {text: shared, environ: []string{"LECTERN_ROLES=api,boss"}, want: []string{`LECTERN_ROLES: roles: "boss" is not one of api, relay, worker`}},
		"one too many":   {text: shared, environ: []string{"LECTERN_ROLES=api,"}, want: []string{`LECTERN_ROLES: roles: "" is not one of api, relay, worker`}},
		"one twice":      {text: shared, environ: []string{"LECTERN_ROLES=api,api"}, want: []string{"LECTERN_ROLES: roles: names api twice"}},
		"none":           {text: shared + "roles: []\n", want: []string{"roles: must name one of api, relay, worker, or more"}},
		"no list":        {text: shared + "roles: {api: true}\n", want: []string{"roles: source data must be an array or slice, got map"}},
		"some, on a server of ours with a broker in memory": {
			text: identity + "broker: {kind: memory}\n", environ: []string{"LECTERN_ROLES=relay,worker"},
			want: []string{
				"LECTERN_ROLES: roles: the server that postgres.embedded starts is one process's, which must have all roles: " +
					"leave out roles, or give all processes a Postgres of your own, see configs/postgres.yaml",
				"LECTERN_ROLES: roles: the broker memory is within one process, which must have all roles: " +
					"leave out roles, or choose a broker.kind that processes share, such as postgres",
			},
		},
		"a delay that leaves no time": {
			text: shared + "shutdown_timeout: 1s\nshutdown_delay: 1s\n",
			want: []string{"shutdown_delay: must be 0s or more and less than shutdown_timeout (1s), is 1s"},
		},
		"a poll that health could not tell from a stuck relay": {
			text: shared + "relay: {poll_max: 31s}\n", want: []string{"relay.poll_max: must be 10ms to 30s, is 31s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(write(t, tc.text), tc.environ...)
			r.LocalBrokers = []string{"memory"}
			_, err := configs.Load(r)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// A process is given the addresses and the options of what it opens, and no
// others: passwords are kept from those who need none.
func TestAProcessNeedsOnlyWhatItsRolesOpen(t *testing.T) {
	t.Parallel()
	for role, tc := range map[string]struct {
		dsn                                 string
		broker, cache, documents, generator bool
	}{
		"api":    {"APP", false, true, true, false},
		"relay":  {"RELAY", true, false, false, false},
		"worker": {"WORKER", true, false, true, true},
	} {
		var broker, cache, documents, generator bool
		r := request(write(t, identity+"postgres: {embedded: false}\nbroker: {kind: postgres}\n"), "LECTERN_ROLES="+role)
		r.DecodeBroker = func(configs.Config, configs.Broker) (any, error) { broker = true; return tc, nil }
		r.DecodeCache = func(configs.Config) (any, error) { cache = true; return tc, nil }
		r.DecodeDocuments = func(configs.Config) (any, error) { documents = true; return tc, nil }
		r.DecodeGenerator = func(configs.Config) (any, error) { generator = true; return tc, nil }
		_, err := configs.Load(r)
		require.ErrorContains(t, err, "give the address in LECTERN_POSTGRES__"+tc.dsn+"_DSN")
		require.Equal(t, 1, strings.Count(err.Error(), "_DSN"), "others are asked for: %v", err)

		r.Environ = append(r.Environ, "LECTERN_POSTGRES__"+tc.dsn+"_DSN=x")
		_, err = configs.Load(r)
		require.NoError(t, err)
		require.Equal(t, []bool{tc.broker, tc.cache, tc.documents, tc.generator}, []bool{broker, cache, documents, generator}, role)
	}
}

func TestAProcessWithoutTheAPIMayBeAskedForItsHealthFromElsewhere(t *testing.T) {
	t.Parallel()
	shared := identity + "postgres: {embedded: false, app_dsn: a, worker_dsn: w, relay_dsn: r}\nbroker: {kind: postgres}\nlisten: 0.0.0.0:8080\n"
	_, err := configs.Load(request(write(t, shared), "LECTERN_ROLES=relay,worker"))
	require.NoError(t, err)
	_, err = configs.Load(request(write(t, shared), "LECTERN_ROLES=api,worker"))
	require.ErrorContains(t, err, "can be reached from other machines")
}

func TestStoppingHasItsTimes(t *testing.T) {
	t.Parallel()
	got, err := configs.Load(request(write(t, identity), "LECTERN_SHUTDOWN_TIMEOUT=2m", "LECTERN_SHUTDOWN_DELAY=0s"))
	require.NoError(t, err)
	require.Equal(t, []time.Duration{2 * time.Minute, 0}, []time.Duration{got.ShutdownTimeout, got.ShutdownDelay})
}
