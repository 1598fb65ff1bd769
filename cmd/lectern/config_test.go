package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/configs"
	"lectern/e2e/stack"
)

// ofPostgres sets the addresses that the built-in config postgres asks for.
func ofPostgres(db *stack.DB) []string {
	return []string{
		"LECTERN_POSTGRES__OWNER_DSN=" + db.Owner, "LECTERN_POSTGRES__APP_DSN=" + db.App, "LECTERN_POSTGRES__WORKER_DSN=" + db.Worker,
		"LECTERN_POSTGRES__RELAY_DSN=" + db.Relay, "LECTERN_BROKER__OPTIONS__DSN=" + db.Broker,
	}
}

func TestEveryBuiltInConfigIsPrintedAsOneThatLoads(t *testing.T) {
	t.Parallel()
	environ := map[string][]string{"postgres": append(ofPostgres(&stack.DB{
		Owner: "postgres://owner:secret@db/x", App: "postgres://app:secret@db/x", Worker: "postgres://worker:secret@db/x",
		Relay: "postgres://relay:secret@db/x", Broker: "postgres://broker:secret@db/x",
	}), "LECTERN_CACHE__KIND=redis", "LECTERN_CACHE__OPTIONS__URL=redis://:secret@cache:6379/0")}
	for _, name := range configs.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			printed := lectern(t, environ[name], "config", "check", name, "--offline", "--data-dir", dir)
			require.Zero(t, printed.code, printed.stderr)
			require.Empty(t, printed.stderr)
			require.NotContains(t, printed.stdout, "secret")
			require.NotContains(t, printed.stdout, "not-started-yet")
			require.Contains(t, printed.stdout, "    max_message_bytes: ", "the broker's defaults")

			file := filepath.Join(t.TempDir(), "printed.yaml")
			require.NoError(t, os.WriteFile(file, []byte(printed.stdout), 0o600))
			require.Equal(t, printed, lectern(t, environ[name], "config", "check", file, "--offline", "--data-dir", dir))
		})
	}
}

func TestEveryProblemOfAConfigIsNamedBeforeItIsPrinted(t *testing.T) {
	t.Parallel()
	got := lectern(t, []string{
		"LECTERN_BROKER__OPTIONS__COLOUR=red", "LECTERN_CACHE__OPTIONS__MAX_ENTRIES=0", "LECTERN_LISTEN=nowhere",
		"LECTERN_BROKER__ALSO_CONSUME__0__KIND=memory", "LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__TASTE=sour",
	}, "config", "check")
	require.Equal(t, exitInput, got.code)
	require.Empty(t, got.stdout)
	for _, named := range []string{"unknown: colour", "max_entries must be 1 or more", "LECTERN_LISTEN", "broker.also_consume.0.options: ", "unknown: taste"} {
		require.Contains(t, got.stderr, named)
	}
}

func TestEveryConnectionThatWorksIsSaidSo(t *testing.T) {
	t.Parallel()
	db := stack.Database(t, brokerSchema)
	environ := append(ofPostgres(db), "LECTERN_CACHE__KIND=redis", "LECTERN_CACHE__OPTIONS__URL="+stack.Redis(t),
		"LECTERN_BROKER__ALSO_CONSUME__0__KIND=memory")
	early := lectern(t, environ, "config", "check", "postgres")
	require.Equal(t, exitFailure, early.code)
	require.Regexp(t, `(?m)^postgres.app_dsn +failed +.*run .lectern migrate up.`, early.stderr)
	up := lectern(t, append([]string{"LECTERN_CONFIG=postgres"}, environ...), "migrate", "up")
	require.Zero(t, up.code, up.stderr)

	got := lectern(t, environ, "config", "check", "postgres")
	require.Zero(t, got.code, got.stderr)
	require.True(t, strings.HasPrefix(got.stdout, "listen: "), got.stdout)
	lines := strings.Split(strings.TrimSpace(got.stderr), "\n")
	want := []string{
		`postgres.owner_dsn +ok +Postgres \d+.* as lectern_owner`,
		`postgres.app_dsn +ok +Postgres \d+.* as lectern_app`,
		`postgres.worker_dsn +ok +Postgres \d+.* as lectern_worker`,
		`postgres.relay_dsn +ok +Postgres \d+.* as lectern_relay`,
		`broker \(postgres\) +ok +Postgres \d+.* as lectern_broker`,
		`broker.also_consume.0 \(memory\) +ok +it answers`,
		`cache \(redis\) +ok +it answers`,
	}
	require.Len(t, lines, len(want), got.stderr)
	for i := range want {
		require.Regexp(t, "^"+want[i]+"$", lines[i])
	}
}

func TestEveryConnectionThatFailsSaysWhyThoughOthersFailToo(t *testing.T) {
	t.Parallel()
	db := stack.Database(t)
	const nobody = "127.0.0.1:1"
	got := lectern(t, []string{
		"LECTERN_POSTGRES__ADMIN_DSN=postgres://nobody-like-this:secret@" + nobody + "/x",
		"LECTERN_POSTGRES__OWNER_DSN=postgres://x:secret@:::",
		"LECTERN_POSTGRES__APP_DSN=" + strings.Replace(db.App, "/"+db.Name, "/nowhere", 1),
		"LECTERN_POSTGRES__WORKER_DSN=" + db.Superuser,
		"LECTERN_POSTGRES__RELAY_DSN=" + db.Relay,
		"LECTERN_BROKER__OPTIONS__DSN=postgres://broker:secret@" + nobody + "/x",
		"LECTERN_BROKER__ALSO_CONSUME__0__KIND=postgres", "LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__DSN=postgres://old:secret@" + nobody + "/x",
		"LECTERN_CACHE__KIND=redis", "LECTERN_CACHE__OPTIONS__URL=redis://:secret@" + nobody,
	}, "config", "check", "postgres")
	require.Equal(t, exitFailure, got.code)
	require.NotContains(t, got.stdout+got.stderr, "secret")
	const see = ".*: check address, login and TLS, and that the server runs and can be reached from here"
	for _, line := range []string{
		`postgres.admin_dsn +failed +` + see,
		`postgres.owner_dsn +failed +postgres.owner_dsn is not an address like .*`,
		`postgres.app_dsn +failed +.*"nowhere" does not exist.*: make the database, or name another in the address`,
		`postgres.worker_dsn +failed +.*is a superuser.*'lectern migrate roles' makes`,
		`postgres.relay_dsn +ok +Postgres .*`,
		`broker \(postgres\) +failed +` + see,
		`broker.also_consume.0 \(postgres\) +failed +` + see,
		`cache \(redis\) +failed +reach cache: ` + see,
		`lectern: 7 of 8 connections failed`,
	} {
		require.Regexp(t, "(?m)^"+line+"$", got.stderr)
	}
}

func TestAWrongLoginOfABrokerIsSaidToBeTheReason(t *testing.T) {
	t.Parallel()
	server, err := url.Parse(stack.Redis(t))
	require.NoError(t, err)
	got := lectern(t, []string{
		"LECTERN_BROKER__OPTIONS__ADDRESSES=" + server.Host,
		"LECTERN_BROKER__OPTIONS__LOGIN__USER=nobody-like-this", "LECTERN_BROKER__OPTIONS__LOGIN__PASSWORD=mistaken",
	}, "config", "check", "redis")
	require.Equal(t, exitFailure, got.code)
	require.Regexp(t, `(?m)^broker \(redis\) +failed +reach broker at `+server.Host+`: WRONGPASS .*: check address, login and TLS`, got.stderr)
	require.NotContains(t, got.stdout+got.stderr, "mistaken")
}

func TestABrokersServerThatWouldLoseMessagesIsWarnedOf(t *testing.T) {
	t.Parallel()
	check := func(server *stack.RedisServer) result {
		at, err := url.Parse(server.Address())
		require.NoError(t, err)
		return lectern(t, []string{"LECTERN_BROKER__OPTIONS__ADDRESSES=" + at.Host}, "config", "check", "redis")
	}
	got := check(stack.StartRedis(t))
	require.Zero(t, got.code, "a warning is no failure")
	require.Regexp(t, `(?m)^broker \(redis\) +ok +it answers\nbroker \(redis\) +warning +appendonly is "no": .*; set it to yes\ncache `, got.stderr)

	got = check(stack.StartDurableRedis(t))
	require.Zero(t, got.code)
	require.Regexp(t, `(?m)^broker \(redis\) +ok +it answers\ncache `, got.stderr)
}

func TestAServerOfOurOwnIsNotStartedToBeChecked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	got := lectern(t, nil, "config", "check", "--data-dir", dir)
	require.Zero(t, got.code, got.stderr)
	require.Regexp(t, `(?m)^postgres +skipped +Lectern starts this server itself; its data folder `+dir+` can be used$`, got.stderr)
	require.Regexp(t, `(?m)^broker \(postgres\) +skipped +it is on the server that Lectern starts itself$`, got.stderr)
	require.Regexp(t, `(?m)^cache \(memory\) +ok +it is within each process$`, got.stderr)
	require.Contains(t, got.stdout, "    dsn: \"\"\n")
	require.NoDirExists(t, dir)

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "somebody's"), 0o755))
	got = lectern(t, nil, "config", "check", "--data-dir", dir)
	require.Equal(t, exitFailure, got.code)
	require.Regexp(t, `(?m)^postgres +failed +open data folder .*: it is not empty and not Lectern's`, got.stderr)
}
