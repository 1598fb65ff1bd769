package embeddedpostgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lectern/adapters/embeddedpostgres"
)

func TestFolderOfAKilledProcessIsFreeAndWhole(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	program, super := helper(t, dir, "postgres://")
	exec1(t, super, "CREATE TABLE kept AS SELECT 42 AS answer")

	_, err := embeddedpostgres.Start(t.Context(), options(dir))
	var inUse *embeddedpostgres.InUseError
	if !errors.As(err, &inUse) || inUse.PID != program.Process.Pid {
		t.Fatalf("start beside process %d: %v, want an InUseError with its pid", program.Process.Pid, err)
	}
	for _, part := range []string{dir, strconv.Itoa(inUse.PID), "--server", "--data-dir"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not mention %s", err, part)
		}
	}

	kill(program)
	s := start(t, options(dir))
	if got := query[int](t, s.SuperuserDSN(), "SELECT answer FROM kept"); got != 42 {
		t.Errorf("answer = %d, want 42", got)
	}
}

// The server is frozen while its program dies, so it can't stop by itself; it is
// thawed once the next start has noticed it.
func TestOrphanedServerIsStopped(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	program, _ := helper(t, dir, "postgres://")
	orphan := serverPID(t, dir)
	must(t, syscall.Kill(orphan, syscall.SIGSTOP))
	kill(program)

	var once sync.Once
	thaw := func() { once.Do(func() { _ = syscall.Kill(orphan, syscall.SIGCONT) }) }
	t.Cleanup(thaw)
	o := options(dir)
	noticed := false
	o.Log = slog.New(onInfo(func() { noticed = true; thaw() }))
	s := start(t, o)
	if !noticed {
		t.Error("the start did not meet the orphan")
	}
	if serverPID(t, dir) == orphan || query[int](t, s.SuperuserDSN(), "SELECT 1") != 1 {
		t.Error("the orphan still serves the folder")
	}
}

func TestStartAfterOneThatWasKilledHalfWay(t *testing.T) {
	t.Parallel()
	for _, step := range []embeddedpostgres.Step{embeddedpostgres.StepInitialize, embeddedpostgres.StepStart} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			program, _ := helper(t, dir, string(step))
			kill(program)
			usable(t, dir)
		})
	}
}

func TestStartAfterOneThatWasCancelledHalfWay(t *testing.T) {
	t.Parallel()
	for _, step := range []embeddedpostgres.Step{embeddedpostgres.StepInitialize, embeddedpostgres.StepStart} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			ctx, cancel := context.WithCancel(t.Context())
			o := options(dir)
			o.Progress = func(p embeddedpostgres.Progress) {
				if p.Step == step {
					cancel()
				}
			}
			if _, err := embeddedpostgres.Start(ctx, o); !errors.Is(err, context.Canceled) {
				t.Fatalf("cancelled start: %v, want context.Canceled", err)
			}
			usable(t, dir)
		})
	}
}

// A pid file may name a process that is somebody else's by now: here, another
// server's, which Postgres would take for one on this folder.
func TestStalePIDFileIsIgnored(t *testing.T) {
	t.Parallel()
	dir, elsewhere := folder(t), folder(t)
	stop(t, start(t, options(dir)))
	other := start(t, options(elsewhere))
	stale := fmt.Sprintf("%d\n%s\n", serverPID(t, elsewhere), filepath.Join(dir, "data"))
	must(t, os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(stale), 0o644))
	usable(t, dir)
	if query[int](t, other.SuperuserDSN(), "SELECT 1") != 1 {
		t.Error("the other server was harmed")
	}
}

// usable proves that a start works and leaves nothing half done.
func usable(t *testing.T, dir string) {
	t.Helper()
	s := start(t, options(dir))
	if got := query[string](t, dsn(t, s, owner), "SELECT current_database()::text"); got != "lectern" {
		t.Errorf("the owner is led to %s, want lectern", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "data.new")); err == nil {
		t.Error("the half-done folder is still there")
	}
}

func serverPID(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	must(t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	must(t, err)
	return pid
}

func readUntil(t *testing.T, from io.Reader, begin string) string {
	t.Helper()
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), begin) {
			return lines.Text()
		}
		t.Log("helper:", lines.Text())
	}
	t.Fatalf("the helper ended without saying %q", begin)
	return ""
}

// onInfo is a log handler that calls a function on each line of level info or above.
type onInfo func()

func (onInfo) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (f onInfo) Handle(context.Context, slog.Record) error      { f(); return nil }
func (f onInfo) WithAttrs([]slog.Attr) slog.Handler             { return f }
func (f onInfo) WithGroup(string) slog.Handler                  { return f }
