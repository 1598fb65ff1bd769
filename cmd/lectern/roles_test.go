package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/configs"
	"lectern/e2e/stack"
)

// subsets are all that a process may be.
func subsets() []configs.Roles {
	return []configs.Roles{
		{configs.RoleAPI},
		{configs.RoleRelay},
		{configs.RoleWorker},
		{configs.RoleAPI, configs.RoleRelay},
		{configs.RoleAPI, configs.RoleWorker},
		{configs.RoleRelay, configs.RoleWorker},
		configs.AllRoles(),
	}
}

func TestEverySubsetOfTheRolesIsWired(t *testing.T) {
	t.Parallel()
	for _, roles := range subsets() {
		c := configs.Default()
		c.Roles, c.Postgres.Embedded, c.Broker.Kind = roles, false, "memory"
		wired, err := wire(c, slog.New(slog.DiscardHandler), &database{}, listen(t), newParts(func(error) {}))
		require.NoError(t, err)
		require.NoError(t, fx.ValidateApp(wired), roles)
	}
}

// nowhere is an address that nothing answers at: whoever opens it fails.
const nowhere = "postgres://lectern_nobody@127.0.0.1:1/nowhere"

// With every other address leading nowhere, and a role each that a connection
// of another could not be.
func TestAProcessOpensOnlyWhatItsRolesNeed(t *testing.T) {
	t.Parallel()
	db := stack.Database(t, "lectern_broker")
	up := lectern(t, ofPostgres(db), "--config", "postgres", "migrate", "up")
	require.Zero(t, up.code, up.stderr)
	for _, roles := range subsets() {
		c := configs.Default()
		c.Roles, c.Listen, c.DataDir = roles, "127.0.0.1:0", t.TempDir()
		c.Postgres = configs.Postgres{RolePrefix: "lectern", MaxConns: 2, AppDSN: nowhere, WorkerDSN: nowhere, RelayDSN: nowhere}
		c.Broker = configs.Broker{Kind: "postgres", Options: map[string]any{"dsn": nowhere}}
		c.Cache = configs.Cache{Kind: "redis", Options: map[string]any{"url": "no address"}}
		health := http.StatusNotFound
		if roles.Has(configs.RoleAPI) {
			c.Postgres.AppDSN, c.Cache = db.App, configs.Default().Cache
		}
		if roles.Has(configs.RoleWorker) {
			c.Postgres.WorkerDSN = db.Worker
		}
		if roles.Has(configs.RoleRelay) {
			c.Postgres.RelayDSN, health = db.Relay, http.StatusOK
		}
		if roles.NeedBroker() {
			c.Broker.Options["dsn"] = db.Broker
		}
		err := withService(t.Context(), c, slog.New(slog.DiscardHandler), nil, func(ctx context.Context, at string) error {
			require.Eventually(t, func() bool { return get(ctx, t, at, "/readyz") == http.StatusOK }, time.Minute, 10*time.Millisecond, "%v is ready", roles)
			require.Equal(t, health, get(ctx, t, at, "/api/health/outbox"), "%v", roles)
			return nil
		})
		require.NoError(t, err, roles)
	}
}

func TestReadinessNamesTheRoleWhoseDatabaseIsGone(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), nowhere)
	require.NoError(t, err)
	defer pool.Close()
	c := configs.Default()
	c.Roles, c.Postgres.Embedded, c.Broker.Kind, c.DataDir = configs.Roles{configs.RoleAPI}, false, "memory", t.TempDir()
	l := listen(t)
	wired, err := wire(c, slog.New(slog.DiscardHandler), &database{app: pool}, l, newParts(func(err error) { t.Error(err) }))
	require.NoError(t, err)
	running := fx.New(wired)
	require.NoError(t, running.Start(t.Context()))
	at := (&url.URL{Scheme: "http", Host: l.Addr().String()}).String()
	require.Equal(t, http.StatusServiceUnavailable, get(t.Context(), t, at, "/readyz"))
	require.Equal(t, http.StatusOK, get(t.Context(), t, at, "/livez"))
	require.NoError(t, running.Stop(t.Context()))
}

func get(ctx context.Context, t *testing.T, at, path string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+path, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

func TestRolesThatProcessesCanNotShareAreRefused(t *testing.T) {
	t.Parallel()
	got := lectern(t, []string{"LECTERN_BROKER__KIND=memory"}, "serve", "--roles", "relay,worker")
	require.Equal(t, exitInput, got.code)
	require.Equal(t, "lectern: read config embedded.yaml:\n"+
		"  --roles: roles: the server that postgres.embedded starts is one process's, which must have all roles: leave out roles, "+
		"or give all processes a Postgres of your own, see configs/postgres.yaml\n"+
		"  --roles: roles: the broker memory is within one process, which must have all roles: leave out roles, "+
		"or choose a broker.kind that processes share, such as postgres\n", got.stderr)
	got = lectern(t, nil, "serve", "--roles", "boss")
	require.Equal(t, exitInput, got.code)
	require.Contains(t, got.stderr, `--roles: roles: "boss" is not one of api, relay, worker`)
}

func TestConfigCheckConnectsAsTheRolesDo(t *testing.T) {
	t.Parallel()
	db := stack.Database(t, "lectern_broker")
	up := lectern(t, ofPostgres(db), "--config", "postgres", "migrate", "up")
	require.Zero(t, up.code, up.stderr)
	got := lectern(t, []string{"LECTERN_CONFIG=postgres", "LECTERN_ROLES=api", "LECTERN_POSTGRES__APP_DSN=" + db.App}, "config", "check")
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stdout, "roles:\n  - api\n")
	require.Contains(t, got.stderr, "postgres.app_dsn")
	require.NotContains(t, got.stderr, "broker")
	got = lectern(t, []string{"LECTERN_CONFIG=postgres", "LECTERN_ROLES=worker", "LECTERN_POSTGRES__WORKER_DSN=" + db.Worker, "LECTERN_BROKER__OPTIONS__DSN=" + db.Broker}, "config", "check")
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stderr, "broker (postgres)")
	require.NotContains(t, got.stderr, "cache")
}
