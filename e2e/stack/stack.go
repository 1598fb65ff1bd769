// Package stack gives tests real servers: one of a kind for a whole run, and a
// database of its own for each test. It looks at LECTERN_TEST_POSTGRES first, a
// superuser's address of a server that is used for tests alone, and starts a
// server when that is not set.
//
// A package whose tests want servers has
//
//	func TestMain(m *testing.M) { stack.Main(m) }
//
// and calls Database in its tests. Tests never skip: a server that can't be had
// fails the run and says what to do. The package is for tests, and imports no
// more of Lectern than it needs to have a server.
package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// startFailed is the exit code of a run that had no servers.
const startFailed = 1

// Main runs a package's tests with servers, and ends the program as they ended.
// When servers have to be started, the tests run in a process of their own
// beside them: whatever ends the tests, the servers are stopped and their files
// removed, and a search for leaked goroutines finds only those of the tests.
func Main(m *testing.M) {
	os.Exit(run(m)) //nolint:forbidigo // TestMain's last act, and m.Run may have run elsewhere
}

func run(m *testing.M) int {
	if os.Getenv(PostgresVariable) != "" {
		if err := ensureRoles(context.Background()); err != nil {
			return fail(err)
		}
		return m.Run()
	}
	self, err := os.Executable()
	if err != nil {
		return fail(fmt.Errorf("find test binary: %w", err))
	}
	code, err := Run(context.Background(), append([]string{self}, os.Args[1:]...))
	if err != nil {
		return fail(err)
	}
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "stack:", err)
	return startFailed
}

// Run starts what servers are missing, runs a command that finds them by its
// environment, stops them, and returns the command's exit code: 128 more than a
// signal that killed it, as a shell does. The command has a process group of
// its own, and is passed the signals that we get.
func Run(ctx context.Context, command []string) (code int, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn()...)
	defer signal.Stop(signals)

	server, err := havePostgres(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()

	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), PostgresVariable+"="+server.address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("run command: %w", err)
	}
	return wait(cmd, signals)
}

func passedOn() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}
}

// wait passes signals on until the command has ended.
func wait(cmd *exec.Cmd, signals <-chan os.Signal) (int, error) {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case got := <-signals:
			if number, ok := got.(syscall.Signal); ok {
				// It may just have ended, and then needs no signal.
				_ = syscall.Kill(-cmd.Process.Pid, number)
			}
		case err := <-ended:
			return exitCode(cmd, err)
		}
	}
}

func exitCode(cmd *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("wait for command: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}
