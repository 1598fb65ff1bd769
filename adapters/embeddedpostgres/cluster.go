package embeddedpostgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"syscall"
	"time"
)

// orphanGrace is how long a server that an earlier run left behind may take for
// each of the ways to stop it.
const orphanGrace = 10 * time.Second

// lockServer takes the server lock. Who holds it, though nobody holds the mark,
// is a server whose program was killed: it is stopped first.
func (f *folder) lockServer(ctx context.Context, log *slog.Logger) error {
	lock, err := tryLock(f.path("server.lock"))
	if errors.Is(err, errLocked) {
		log.Info("stopping a Postgres that an earlier run left behind", "dir", f.dir)
		lock, err = f.evict(ctx)
	}
	if err != nil {
		return fmt.Errorf("lock data folder %s for Postgres: %w", f.dir, err)
	}
	f.server = lock
	// Nobody uses the data now. Its pid may be somebody else's by now, for whom
	// Postgres would then not start.
	if err := os.Remove(f.pidFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove stale pid file: %w", err)
	}
	return nil
}

func (f *folder) pidFile() string { return f.path("data/postmaster.pid") }

// evict stops the server that holds the lock: in order, at once, by force.
func (f *folder) evict(ctx context.Context) (*os.File, error) {
	for _, how := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		pid := f.serverPID()
		if pid > 0 {
			_ = syscall.Kill(pid, how)
		}
		grace, cancel := context.WithTimeout(ctx, orphanGrace)
		lock, err := waitLock(grace, f.path("server.lock"))
		cancel()
		if err == nil || ctx.Err() != nil {
			return lock, err
		}
	}
	return nil, fmt.Errorf("processes of an earlier run still use it: end them (pid %d)", f.serverPID())
}

// serverPID reads the first line of the server's own pid file; 0 if there is none.
func (f *folder) serverPID() int {
	file, err := os.Open(f.pidFile())
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	lines.Scan()
	pid, err := strconv.Atoi(lines.Text())
	if err != nil {
		return 0
	}
	return pid
}

// initialize makes the cluster when there is none, in a folder beside that is
// renamed when it is whole.
func (f *folder) initialize(ctx context.Context, bin string, o Options) error {
	if exists(f.data()) {
		return nil
	}
	o.Progress(Progress{Step: StepInitialize})
	fresh := f.data() + ".new"
	if err := f.makeEmpty(fresh); err != nil {
		return fmt.Errorf("make database folder: %w", err)
	}
	p, err := startProcess(f.command(ctx, bin, "initdb", syscall.SIGKILL, f.initArgs(fresh, o)...), &tail{log: o.Log})
	if err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return errors.Join(fmt.Errorf("initialize database: %w", err), os.RemoveAll(fresh))
	}
	if err := os.Rename(fresh, f.data()); err != nil {
		return fmt.Errorf("keep initialized database: %w", err)
	}
	return syncDir(f.dir)
}

// makeEmpty also removes what an initialization left that was cut off.
func (f *folder) makeEmpty(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return f.account.own(dir)
}

// initArgs choose a locale that is the same on every machine.
func (f *folder) initArgs(data string, o Options) []string {
	args := []string{
		"--pgdata", data,
		"--username", Superuser,
		"--pwfile", f.path("password"),
		"--auth", "scram-sha-256",
		"--encoding", "UTF8",
		"--locale", "C",
		"--data-checksums",
		"--no-instructions",
	}
	if o.Version != V15 { // which has no such provider
		args = append(args, "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8")
	}
	if o.Settings["fsync"] == "off" {
		args = append(args, "--no-sync")
	}
	return args
}
