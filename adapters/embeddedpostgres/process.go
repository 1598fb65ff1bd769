package embeddedpostgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// killAfter is how long an immediate shutdown may take before we kill.
const killAfter = 5 * time.Second

// process is a program of Postgres that we started, in a process group of its
// own: a Ctrl-C in the terminal is for us, and we stop it in order.
type process struct {
	cmd  *exec.Cmd
	tail *tail
	done chan struct{} // closed when the process and its children are gone
	err  error         // how it ended; read after done
}

// command describes a program of Postgres, which is killed when the context
// ends. Its children inherit the server lock. The program is sent the signal
// when we die, where the system can.
func (f *folder) command(ctx context.Context, bin, program string, whenWeDie syscall.Signal, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, program), args...)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.Dir = f.dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.ExtraFiles = []*os.File{f.server}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signalOnDeath(cmd.SysProcAttr, whenWeDie)
	if f.account != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: f.account.uid, Gid: f.account.gid}
	}
	return cmd
}

func startProcess(cmd *exec.Cmd, t *tail) (*process, error) {
	cmd.Stdout, cmd.Stderr = t, t
	p := &process{cmd: cmd, tail: t, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.supervise(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	return p, nil
}

// supervise keeps its thread: Linux takes the death of the thread that started
// a process for the death of its parent.
func (p *process) supervise(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
		close(p.done)
	}
}

// wait waits for a program that ends by itself, or with its context.
func (p *process) wait(ctx context.Context) error {
	<-p.done
	if p.err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if p.err != nil {
		return fmt.Errorf("%w; it said:\n%s", p.err, p.tail)
	}
	return nil
}

// killGroup kills a program and what it started.
func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// stop ends a server: in order while the context lasts, then at once. Either
// way nothing that was committed is lost.
func (p *process) stop(ctx context.Context) error {
	p.signal(syscall.SIGINT)
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("stop Postgres: %w", p.err)
		}
		return nil
	case <-ctx.Done():
	}
	p.signal(syscall.SIGQUIT)
	select {
	case <-p.done:
	case <-time.After(killAfter):
		_ = killGroup(p.cmd) // fails for one that is gone
		<-p.done
	}
	return fmt.Errorf("stop Postgres in order, so it was stopped at once and will recover at the next start: %w", ctx.Err())
}

// abandon stops a server whose start failed, even when that was by its context.
// How one ended that is gone already is known.
func (p *process) abandon(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	return p.stop(ctx)
}

// signal tells the server how to stop; one that is gone needs not be told.
func (p *process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.tail.log.Warn("cannot signal Postgres", "signal", s.String(), "error", err)
	}
}
