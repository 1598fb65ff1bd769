//go:build ops

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

// cronPatience bounds the wait for a job of pg_cron, which starts none within a
// minute.
const cronPatience = 3 * time.Minute

// cronServer is a Postgres with pg_cron, for the database lectern.
type cronServer struct {
	t   *testing.T
	dir string // of its socket
}

// startCronServer starts the distribution's Postgres: the one of our own brings
// no pg_cron.
func startCronServer(t *testing.T, settings ...string) *cronServer {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/lib/pg_cron.so")
	require.NoError(t, err)
	require.NotEmpty(t, found, "there is no Postgres with pg_cron here: install the package postgresql-15-cron")
	bin := filepath.Join(filepath.Dir(filepath.Dir(found[len(found)-1])), "bin")
	dir := stack.Dir(t)
	as := unprivileged(t, dir)
	data := filepath.Join(dir, "data")
	prepare := exec.CommandContext(t.Context(), filepath.Join(bin, "initdb"), "--pgdata", data, "--username", "postgres", "--auth", "trust", "--no-sync")
	prepare.Dir, prepare.SysProcAttr = dir, as
	output, err := prepare.CombinedOutput()
	require.NoError(t, err, "initdb: %s", output)

	log := &tail{}
	run := exec.CommandContext(context.Background(), filepath.Join(bin, "postgres"), "-D", data)
	for _, setting := range append(settings,
		"listen_addresses=", "unix_socket_directories="+dir, "fsync=off", "max_worker_processes=30",
		"shared_preload_libraries=pg_cron", "cron.database_name=lectern", "cron.host="+dir) {
		run.Args = append(run.Args, "-c", setting)
	}
	run.Dir, run.SysProcAttr, run.Stdout, run.Stderr = dir, as, log, log
	require.NoError(t, run.Start())
	t.Cleanup(func() {
		require.NoError(t, run.Process.Signal(syscall.SIGINT)) // stop, whoever is connected
		require.NoError(t, run.Wait(), log)
		if t.Failed() {
			t.Logf("the database server's last lines:\n%s", log)
		}
	})
	s := &cronServer{t, dir}
	s.eventually("a server that answers", patience, func() bool {
		conn, err := pgx.Connect(t.Context(), s.dsn("postgres", "postgres"))
		if err != nil {
			return false
		}
		return conn.Close(t.Context()) == nil
	})
	return s
}

// unprivileged gives a folder to the user who runs Postgres in root's stead.
func unprivileged(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	attributes := &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is ours alone
	if os.Geteuid() != 0 {
		return attributes
	}
	account, err := user.Lookup("postgres")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	require.NoError(t, err)
	require.NoError(t, os.Chown(dir, int(uid), int(gid)))
	attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attributes
}

func (s *cronServer) dsn(role, database string) string {
	return fmt.Sprintf("postgres:///%s?host=%s&user=%s", database, s.dir, role)
}

// query asks in the database lectern, as the superuser.
func query[T any](s *cronServer, sql string, args ...any) (value T) {
	s.t.Helper()
	s.on("postgres", "lectern", func(conn *pgx.Conn) {
		require.NoError(s.t, conn.QueryRow(s.t.Context(), sql, args...).Scan(&value))
	})
	return value
}

func (s *cronServer) exec(role, database, sql string) {
	s.t.Helper()
	s.on(role, database, func(conn *pgx.Conn) {
		_, err := conn.Exec(s.t.Context(), sql)
		require.NoError(s.t, err)
	})
}

func (s *cronServer) on(role, database string, use func(*pgx.Conn)) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.dsn(role, database))
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, conn.Close(context.Background())) }()
	use(conn)
}

func (s *cronServer) eventually(what string, within time.Duration, ok func() bool) {
	s.t.Helper()
	deadline := time.After(within)
	for look := time.NewTicker(100 * time.Millisecond); !ok(); {
		select {
		case <-look.C:
		case <-deadline:
			s.t.Fatalf("never came: %s", what)
		}
	}
}

// env is the config of a Lectern on this server.
func (s *cronServer) env(scheduler string) []string {
	return []string{
		"LECTERN_CONFIG=postgres", "LECTERN_BROKER__KIND=memory",
		"LECTERN_POSTGRES__APP_DSN=" + s.dsn("lectern_app", "lectern"),
		"LECTERN_POSTGRES__WORKER_DSN=" + s.dsn("lectern_worker", "lectern"),
		"LECTERN_POSTGRES__RELAY_DSN=" + s.dsn("lectern_relay", "lectern"),
		"LECTERN_RETENTION__SCHEDULER=" + scheduler, "LECTERN_RETENTION__BATCH=10",
	}
}

// migrate runs `lectern migrate` and returns what it said and whether it went well.
func (s *cronServer) migrate(scheduler string, args ...string) (string, bool) {
	s.t.Helper()
	env := append(s.env(scheduler), "LECTERN_POSTGRES__OWNER_DSN="+s.dsn("lectern_owner", "lectern"))
	output, err := command(s.t.Context(), s.dir, env, append([]string{"migrate"}, args...)...).CombinedOutput()
	return string(output), err == nil
}

func (s *cronServer) mustMigrate(scheduler string, args ...string) {
	s.t.Helper()
	output, ok := s.migrate(scheduler, args...)
	require.True(s.t, ok, output)
}

// expire makes keys that have expired, and the clean-up of them due.
func (s *cronServer) expire(n int) {
	s.t.Helper()
	s.exec("postgres", "lectern", fmt.Sprintf(`
		insert into lectern.idempotency_keys (organization_id, key, fingerprint, created_at, expires_at)
		select gen_random_uuid(), 'expired-' || i, repeat('0', 64), now() - interval '2 days', now() - interval '1 day'
		from generate_series(1, %d) i;
		update lectern.retention_runs set started_at = null, finished_at = null where task = 'keys'`, n))
}

const (
	jobs = `select count(*)::int from cron.job`
	runs = `select runs::int from lectern.retention_runs where task = 'keys'`
	keys = `select count(*)::int from lectern.idempotency_keys`
)

func TestOpsPgCronCleansUpWhereItIsThereAndAskedFor(t *testing.T) {
	for name, workers := range map[string]string{"over connections": "off", "in background workers": "on"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startCronServer(t, "cron.use_background_workers="+workers)
			s.exec("postgres", "postgres", `create role lectern_owner login createrole`)
			s.exec("postgres", "postgres", `create database lectern owner lectern_owner`)

			said, ok := s.migrate("pg_cron", "up")
			require.False(t, ok, "without the extension")
			require.Contains(t, said, "`create extension pg_cron; grant usage on schema cron to \"lectern_owner\"`")
			s.exec("postgres", "lectern", `create extension pg_cron`)
			said, ok = s.migrate("pg_cron", "up")
			require.False(t, ok, "without the right to use it")
			require.Contains(t, said, "`grant usage on schema cron to \"lectern_owner\"`")
			s.exec("postgres", "lectern", `grant usage on schema cron to lectern_owner`)
			s.exec("postgres", "lectern", `select cron.schedule('somebody else''s', '0 0 1 1 *', 'select 1')`)
			for range 2 {
				s.mustMigrate("pg_cron", "up")
				require.Equal(t, 4, query[int](s, jobs))
			}
			require.Equal(t, 3, query[int](s, `select count(*)::int from cron.job where username = 'lectern_owner' and database = 'lectern'`))

			s.cleansUpInBatches()

			s.mustMigrate("service", "up")
			require.Equal(t, 1, query[int](s, jobs), "ours are gone")
			s.mustMigrate("pg_cron", "up")
			s.mustMigrate("pg_cron", "down", "--yes")
			require.Equal(t, 1, query[int](s, jobs), "ours are gone")
		})
	}
}

// cleansUpInBatches lets the jobs run each minute, not each hour, and sees that
// they delete in transactions of their own, and once.
func (s *cronServer) cleansUpInBatches() {
	s.t.Helper()
	s.exec("postgres", "lectern", `
		create table public.batches (xid xid8, rows int);
		create function public.note() returns trigger language plpgsql security definer as $$
		begin
		  insert into public.batches select pg_current_xact_id(), count(*) from gone;
		  return null;
		end $$;
		create trigger note after delete on lectern.idempotency_keys referencing old table as gone
		for each statement execute function public.note()`)
	s.expire(25)
	s.exec("postgres", "lectern", `select cron.alter_job(jobid, schedule := '* * * * *') from cron.job where username = 'lectern_owner'`)
	s.eventually("a run of each task", cronPatience, func() bool {
		return query[int](s, `select count(*)::int from lectern.retention_runs where runs > 0`) == 3
	})
	require.Zero(s.t, query[int](s, keys))
	require.Equal(s.t, "{10,10,5}", query[string](s, `select array_agg(rows order by xid)::text from public.batches`))
	require.Equal(s.t, 3, query[int](s, `select count(distinct xid)::int from public.batches`))

	// The same claim holds for whoever runs the same commands.
	for _, task := range []string{"keys", "entries", "inbox"} {
		s.exec("lectern_owner", "lectern", query[string](s, `select command from cron.job where jobname = 'lectern_retention_' || $1`, task))
	}
	require.Equal(s.t, 1, query[int](s, runs))

	// The service leaves it to pg_cron, and does it itself when told to.
	s.exec("postgres", "lectern", `select cron.alter_job(jobid, active := false) from cron.job where username = 'lectern_owner'`)
	s.eventually("no job at work", patience, func() bool {
		return query[int](s, `select count(*)::int from cron.job_run_details where status in ('starting', 'running', 'connecting', 'sending')`) == 0
	})
	s.expire(25)
	left := serve(s.t, dataDir(s.t), s.env("pg_cron")...)
	require.NoError(s.t, left.stop(s.t, syscall.SIGTERM))
	require.Equal(s.t, 25, query[int](s, keys))
	own := serve(s.t, dataDir(s.t), s.env("service")...)
	s.eventually("a run of the service's", patience, func() bool { return query[int](s, runs) == 2 })
	require.NoError(s.t, own.stop(s.t, syscall.SIGTERM))
	require.Zero(s.t, query[int](s, keys))
}
