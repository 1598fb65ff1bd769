package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const readyPoll = 10 * time.Millisecond

// errPortTaken is what a server's readiness check returns when somebody else
// listens where ours should.
var errPortTaken = errors.New("the port is taken by another program")

// process is a server that runs.
type process struct {
	cmd  *exec.Cmd
	said bytes.Buffer  // read after done
	done chan struct{} // closed when it has ended
}

// startProcess runs a server. It has a process group of its own, so that a
// terminal's interrupt is for us, and dies with us.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	killOnDeath(cmd.SysProcAttr)
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
		_ = p.cmd.Wait() // it is killed, or p.said tells why it ended
		close(p.done)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails for one that is gone
	<-p.done
}

// waitReady returns once answers does without an error. portTaken is what the
// server says when it could not have its port.
func (p *process) waitReady(ctx context.Context, timeout time.Duration, portTaken string, answers func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	retry := time.NewTicker(readyPoll)
	defer retry.Stop()
	for {
		err := answers(ctx)
		select {
		case <-p.done:
			return p.whyEnded(portTaken)
		default:
		}
		if err == nil || errors.Is(err, errPortTaken) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for its first answer: %w: %w", ctx.Err(), err)
		case <-retry.C:
		}
	}
}

func (p *process) whyEnded(portTaken string) error {
	if bytes.Contains(p.said.Bytes(), []byte(portTaken)) {
		return errPortTaken
	}
	return fmt.Errorf("it ended (%s) and said:\n%s", p.cmd.ProcessState, p.said.String())
}
