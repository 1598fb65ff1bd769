package embeddedpostgres_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"lectern/adapters/embeddedpostgres"
)

func TestDataSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, options(dir))
	exec1(t, dsn(t, first, owner), "CREATE TABLE kept AS SELECT 42 AS answer")
	stop(t, first)

	second := start(t, options(dir))
	if got := query[int](t, dsn(t, second, owner), "SELECT answer FROM kept"); got != 42 {
		t.Errorf("answer = %d, want 42", got)
	}
}

func TestDataStaysWithItsMajorVersion(t *testing.T) {
	t.Parallel()
	o := options(folder(t))
	o.Version = embeddedpostgres.V15
	first := start(t, o)
	if got := query[int](t, dsn(t, first, owner), "SELECT current_setting('server_version_num')::int / 10000"); got != 15 {
		t.Errorf("the server is of version %d, want 15", got)
	}
	exec1(t, dsn(t, first, owner), "CREATE TABLE kept AS SELECT 42 AS answer")
	stop(t, first)

	o.Version = ""
	_, err := embeddedpostgres.Start(t.Context(), o)
	if refused := (*embeddedpostgres.VersionError)(nil); !errors.As(err, &refused) || refused.Found != "15" || refused.Want != "18" {
		t.Errorf("start of another version: %v, want a *VersionError", err)
	}
	o.Version = embeddedpostgres.V15
	if got := query[int](t, dsn(t, start(t, o), owner), "SELECT answer FROM kept"); got != 42 {
		t.Errorf("answer = %d, want 42", got)
	}
}

func TestStopInAHurryLosesNothing(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first, err := embeddedpostgres.Start(t.Context(), options(dir))
	must(t, err)
	exec1(t, dsn(t, first, owner), "CREATE TABLE kept AS SELECT 42 AS answer")
	inAHurry, cancel := context.WithCancel(t.Context())
	cancel()
	// The server may be quick enough to stop in order all the same.
	if err := first.Stop(inAHurry); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	second := start(t, options(dir))
	if got := query[int](t, dsn(t, second, owner), "SELECT answer FROM kept"); got != 42 {
		t.Errorf("answer = %d, want 42", got)
	}
}

func TestStoppedFolderIsFreeThoughAChildHasACopyOfItsLock(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, options(dir))
	fd, err := s.CopyMark()
	must(t, err)
	defer func() { must(t, syscall.Close(fd)) }()
	stop(t, s)
	usable(t, dir)
}

func TestTerminalsInterruptDoesNotReachTheServer(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	start(t, options(dir))
	group, err := syscall.Getpgid(serverPID(t, dir))
	must(t, err)
	if group == syscall.Getpgrp() {
		t.Error("the server is in our process group")
	}
}

func TestServerIsSafeByDefault(t *testing.T) {
	t.Parallel()
	o := options(folder(t))
	o.Settings = map[string]string{"listen_addresses": "*"}
	super := start(t, o).SuperuserDSN()
	for setting, want := range map[string]string{
		"fsync":                   "on",
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"password_encryption":     "scram-sha-256",
		"data_checksums":          "on",
		"server_encoding":         "UTF8",
	} {
		if got := query[string](t, super, "SELECT current_setting($1)", setting); got != want {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
	}
	if n := query[int](t, super, "SELECT count(*)::int FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'"); n != 0 {
		t.Errorf("%d rules let users in without a password", n)
	}
}

func TestRolesHaveTheirPowersAndNoMore(t *testing.T) {
	t.Parallel()
	s := start(t, options(folder(t)))
	const powers = `SELECT concat_ws(' ', CASE WHEN rolcanlogin THEN 'login' END, CASE WHEN rolcreaterole THEN 'createrole' END,
		CASE WHEN rolsuper THEN 'super' END, CASE WHEN rolbypassrls THEN 'bypassrls' END,
		CASE WHEN rolcreatedb THEN 'createdb' END, CASE WHEN rolreplication THEN 'replication' END)
		FROM pg_roles WHERE rolname = current_user`
	for role, want := range map[string]string{owner: "login createrole", app: "login", broker: "login"} {
		if got := query[string](t, dsn(t, s, role), powers); got != want {
			t.Errorf("%s may %q, want %q", role, got, want)
		}
	}
	exec1(t, dsn(t, s, owner), "CREATE SCHEMA lectern; ALTER ROLE lectern_app SET search_path = lectern")
	exec1(t, dsn(t, s, broker), "CREATE TABLE broker.messages ()")
	const whose = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()"
	if got := query[string](t, dsn(t, s, app), whose); got != owner {
		t.Errorf("the database is %s's, want %s's", got, owner)
	}
	if _, err := s.DSN("nobody"); err == nil || !strings.Contains(err.Error(), app) {
		t.Errorf("DSN of an unknown role: %v, want an error that lists the roles", err)
	}
}

func TestRolesAreMendedAtTheNextStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, options(dir))
	exec1(t, first.SuperuserDSN(), "ALTER ROLE lectern_app SUPERUSER PASSWORD 'other'")
	stop(t, first)

	second := start(t, options(dir))
	if query[bool](t, dsn(t, second, app), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") {
		t.Error("the application's role is still a superuser")
	}
}

func TestWrongPasswordIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, options(dir))
	config, err := pgx.ParseConfig(dsn(t, s, app))
	must(t, err)
	info, err := os.Stat(filepath.Join(dir, "password"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the password file has mode %s, want 0600", info.Mode())
	}
	config.Password = "guess"
	if conn, err := pgx.ConnectConfig(t.Context(), config); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a wrong password was let in")
	}
}

func TestTakenPortIsReplaced(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { must(t, listener.Close()) }()
	taken := listener.Addr().(*net.TCPAddr).Port

	s := start(t, options(folder(t)).WithPorts(taken))
	if s.Port() == taken {
		t.Errorf("the server claims port %d, which is taken", taken)
	}
	if got := query[string](t, s.SuperuserDSN(), "SELECT current_setting('port')"); got != strconv.Itoa(s.Port()) {
		t.Errorf("the server listens on %s, and says %d", got, s.Port())
	}
}

func TestServerThatEndsByItselfIsNoticed(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, options(dir))
	must(t, syscall.Kill(serverPID(t, dir), syscall.SIGINT))
	<-s.Done()
	stop(t, s)
}

func TestStopEndsConnectionsOfOthers(t *testing.T) {
	t.Parallel()
	s := start(t, options(folder(t)))
	conn := connect(t, dsn(t, s, app))
	stop(t, s)
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the connection outlived the server")
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*embeddedpostgres.Options){
		"no folder":               func(o *embeddedpostgres.Options) { o.Dir = "" },
		"an unknown version":      func(o *embeddedpostgres.Options) { o.Version = "16.1.0" },
		"no owner":                func(o *embeddedpostgres.Options) { o.Owner = "" },
		"no database":             func(o *embeddedpostgres.Options) { o.Database = "" },
		"the superuser as owner":  func(o *embeddedpostgres.Options) { o.Owner = embeddedpostgres.Superuser },
		"the owner twice":         func(o *embeddedpostgres.Options) { o.Roles = append(o.Roles, o.Owner) },
		"a schema nobody can own": func(o *embeddedpostgres.Options) { o.Schemas = map[string]string{"s": "stranger"} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			o := options(dir)
			spoil(&o)
			if _, err := embeddedpostgres.Start(t.Context(), o); err == nil {
				t.Error("the server started")
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("the data folder was made")
			}
		})
	}
}
