//go:build ops

package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"connectrpc.com/connect"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/e2e/stack"
)

// sessions is how many of the server's each role has behind PgBouncer: fewer
// than the service has connections, so that these take turns.
const sessions = 2

// startPgBouncer starts the distribution's PgBouncer in transaction mode before a
// database, otherwise at its defaults, and returns the roles' addresses by way of it.
func startPgBouncer(t *testing.T, db *stack.DB) *stack.DB {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	require.FileExists(t, program, "there is no PgBouncer here: install the package pgbouncer")
	for range 20 { // a port can't be known to be free before it has it
		if host, ok := launchPgBouncer(t, program, db); ok {
			return &stack.DB{
				Name: db.Name, Owner: db.Owner, Superuser: db.Superuser,
				App: at(t, db.App, host), Worker: at(t, db.Worker, host), Relay: at(t, db.Relay, host), Broker: at(t, db.Broker, host),
			}
		}
	}
	t.Fatal("no port is free for PgBouncer")
	return nil
}

func launchPgBouncer(t *testing.T, program string, db *stack.DB) (host string, ok bool) {
	t.Helper()
	dir := stack.Dir(t)
	as := unprivileged(t, dir)
	port := 20000 + rand.IntN(12000)
	writeFor(t, as, filepath.Join(dir, "users.txt"), logins(t, db.App, db.Worker, db.Relay, db.Broker))
	server, err := url.Parse(db.App)
	require.NoError(t, err)
	writeFor(t, as, filepath.Join(dir, "pgbouncer.ini"), fmt.Sprintf(`
[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
default_pool_size = %d
`, server.Hostname(), server.Port(), port, filepath.Join(dir, "users.txt"), sessions))

	log := &tail{}
	run := exec.CommandContext(context.Background(), program, filepath.Join(dir, "pgbouncer.ini"))
	run.Dir, run.SysProcAttr, run.Stdout, run.Stderr = dir, as, log, log
	require.NoError(t, run.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = run.Wait() // it is killed, or its log tells why it ended
	}()
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGKILL) // it may have ended
		<-ended
		if t.Failed() {
			t.Logf("PgBouncer's last lines:\n%s", log)
		}
	})
	host = "127.0.0.1:" + strconv.Itoa(port)
	for look := time.NewTicker(20 * time.Millisecond); ; <-look.C {
		select {
		case <-ended:
			require.Contains(t, log.String(), "Address already in use", "PgBouncer ended")
			return "", false
		default:
		}
		conn, err := pgx.Connect(t.Context(), at(t, db.App, host))
		if err == nil {
			require.NoError(t, conn.Close(t.Context()))
			return host, true
		}
		require.NoError(t, t.Context().Err(), log)
	}
}

func writeFor(t *testing.T, as *syscall.SysProcAttr, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	if as.Credential != nil {
		require.NoError(t, os.Chown(file, int(as.Credential.Uid), int(as.Credential.Gid)))
	}
}

// logins is a file of users, with the passwords that addresses have.
func logins(t *testing.T, addresses ...string) string {
	t.Helper()
	var lines strings.Builder
	for _, address := range addresses {
		server, err := url.Parse(address)
		require.NoError(t, err)
		password, _ := server.User.Password()
		fmt.Fprintf(&lines, "%q %q\n", server.User.Username(), password)
	}
	return lines.String()
}

// at returns an address on another host:port.
func at(t *testing.T, address, host string) string {
	t.Helper()
	server, err := url.Parse(address)
	require.NoError(t, err)
	server.Host = host
	return server.String()
}

// unprepared has an address' statements not be prepared for a session.
func unprepared(t *testing.T, address string) string {
	t.Helper()
	server, err := url.Parse(address)
	require.NoError(t, err)
	query := server.Query()
	query.Set("default_query_exec_mode", "cache_describe")
	server.RawQuery = query.Encode()
	return server.String()
}

// bounced is a deployment all of whose roles go through PgBouncer.
func bounced(t *testing.T) deployment {
	t.Helper()
	d := newDeployment(t, firstSchema)
	through := startPgBouncer(t, d.db)
	for _, address := range []*string{&through.App, &through.Worker, &through.Relay, &through.Broker} {
		*address = unprepared(t, *address)
	}
	d.db = through
	return d
}

// makeCourses makes several courses at once, from documents.
func makeCourses(a author) {
	a.t.Helper()
	var courses []string
	for range 4 {
		course := a.create(lecternv1.Style_STYLE_PRACTICAL, &lecternv1.Settings{Lessons: 25})
		a.upload(course)
		_, err := a.InitiateGeneration(a.t.Context(), connect.NewRequest(&lecternv1.InitiateGenerationRequest{
			CourseId: course, IdempotencyKey: uuid.NewString(),
		}))
		require.NoError(a.t, err)
		courses = append(courses, course)
	}
	for _, course := range courses {
		a.waitForState(course, lecternv1.State_STATE_COMPLETED)
		a.validateFSMEvents(course)
	}
}

// listeners counts the sessions of processes that listen for entries.
func (d deployment) listeners() (count int) {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.db.Superuser)
	require.NoError(d.t, err)
	defer func() { require.NoError(d.t, conn.Close(context.Background())) }()
	require.NoError(d.t, conn.QueryRow(d.t.Context(), `select count(*) from pg_stat_activity
		where datname = current_database() and application_name = 'lectern listen'`).Scan(&count))
	return count
}

func TestOpsEverythingWorksThroughPgBouncerInTransactionMode(t *testing.T) {
	t.Parallel()
	d := bounced(t)
	env := append(d.config(onPostgres(firstSchema).variables(t, d.db), nil), "LECTERN_RELAY__LISTEN=false", "LECTERN_WATCH__LISTEN=false", "LECTERN_RELAY__POLL_MAX=30s")
	output, err := command(t.Context(), d.dir, env, "config", "check").CombinedOutput()
	require.NoError(t, err, string(output))
	require.NotContains(t, string(output), "warning")
	a := d.serve(env)
	makeCourses(a)
	automaticPipeline(a)
	manualPipeline(a)
	require.LessOrEqual(t, a.outboxHealth().PollInterval, int64(5000), "not relay.poll_max")
	require.NoError(t, a.server.stop(t, syscall.SIGTERM))
	require.NotRegexp(t, "level=(WARN|ERROR)", a.server.log.String())
}

func TestOpsAPgBouncerThatKeepsNoStatementsIsSaidToBeTheReason(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, firstSchema)
	d.db = startPgBouncer(t, d.db)
	env := append(d.config(onPostgres(firstSchema).variables(t, d.db), nil), "LECTERN_RELAY__LISTEN=false", "LECTERN_WATCH__LISTEN=false")
	eventually(t, "a statement that is prepared already", patience, func() bool {
		output, err := command(t.Context(), d.dir, env, "config", "check").CombinedOutput()
		if err == nil {
			return false // the sessions were new
		}
		require.Contains(t, string(output), "add default_query_exec_mode=cache_describe to the address")
		return true
	})
}

func TestOpsListeningThroughPgBouncerIsWarnedOfAndNothingStops(t *testing.T) {
	t.Parallel()
	d := bounced(t)
	env := append(d.config(onPostgres(firstSchema).variables(t, d.db), nil), "LECTERN_RELAY__POLL_MAX=30s")
	output, err := command(t.Context(), d.dir, env, "config", "check").CombinedOutput()
	require.NoError(t, err, "a warning is no failure: %s", output)
	require.Regexp(t, `(?m)^postgres.relay_dsn +warning +.*set relay.listen to false`, string(output))
	require.Regexp(t, `(?m)^postgres.app_dsn +warning +.*set watch.listen to false`, string(output))
	a := d.serve(env)
	eventually(t, "a warning that says what to do", patience, func() bool {
		return strings.Contains(a.server.log.String(), "set relay.listen to false")
	})
	makeCourses(a)
	require.LessOrEqual(t, a.outboxHealth().PollInterval, int64(5000), "not relay.poll_max")
	require.NoError(t, a.server.stop(t, syscall.SIGTERM))
}

func TestOpsARelayBesidePgBouncerListensAndTheOthersNotifyThroughIt(t *testing.T) {
	t.Parallel()
	d := bounced(t)
	direct := *d.db
	through, err := url.Parse(d.db.Owner)
	require.NoError(t, err)
	direct.Relay = at(t, d.db.Relay, through.Host)
	d.db = &direct
	a := d.serve(append(d.config(onPostgres(firstSchema).variables(t, d.db), nil), "LECTERN_WATCH__LISTEN=false"))
	eventually(t, "a session that listens", patience, func() bool { return d.listeners() == 1 })
	makeCourses(a)
	require.NoError(t, a.server.stop(t, syscall.SIGTERM))
	require.NotRegexp(t, "level=(WARN|ERROR)", a.server.log.String())
}
