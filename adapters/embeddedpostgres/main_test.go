package embeddedpostgres_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"lectern/adapters/embeddedpostgres"
)

// helperDir, when set, makes this test binary the program that a test kills: it
// starts a server in that folder, says on standard output how far it is, and waits.
const helperDir = "LECTERN_TEST_HELPER_DIR"

const (
	owner  = "lectern_owner"
	app    = "lectern_app"
	broker = "lectern_broker"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		runHelper(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func runHelper(dir string) {
	o := options(dir)
	o.Progress = func(p embeddedpostgres.Progress) { fmt.Println(p.Step) }
	s, err := embeddedpostgres.Start(context.Background(), o)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.SuperuserDSN())
	<-s.Done()
}

// helper runs this binary as a program of its own, until it has said a line
// that begins so; the test may kill it. The line is returned.
func helper(t *testing.T, dir, until string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { kill(cmd) })
	return cmd, readUntil(t, out, until)
}

// kill is kill -9, and waits for the end; killing twice does no harm.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func options(dir string) embeddedpostgres.Options {
	return embeddedpostgres.Options{
		Dir:      dir,
		Owner:    owner,
		Roles:    []string{app, broker},
		Database: "lectern",
		Schemas:  map[string]string{"broker": broker},
		Settings: map[string]string{"fsync": "off"},
	}
}

// folder is a data folder that does not exist yet. t.TempDir would not do: when
// we are root the server's user can't enter it.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embeddedpostgres")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "data")
}

func start(t *testing.T, o embeddedpostgres.Options) *embeddedpostgres.Server {
	t.Helper()
	s, err := embeddedpostgres.Start(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *embeddedpostgres.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must(t, s.Stop(ctx))
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec1(t *testing.T, dsn, sql string) {
	t.Helper()
	conn := connect(t, dsn)
	_, err := conn.Exec(t.Context(), sql)
	must(t, err)
	must(t, conn.Close(t.Context()))
}

func query[T any](t *testing.T, dsn, sql string, args ...any) T {
	t.Helper()
	conn := connect(t, dsn)
	var value T
	must(t, conn.QueryRow(t.Context(), sql, args...).Scan(&value))
	must(t, conn.Close(t.Context()))
	return value
}

func dsn(t *testing.T, s *embeddedpostgres.Server, role string) string {
	t.Helper()
	address, err := s.DSN(role)
	must(t, err)
	return address
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
