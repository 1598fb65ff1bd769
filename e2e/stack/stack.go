// Package stack gives tests real servers: one of a kind for a whole run, and on
// it a database of its own for each test. It takes the server whose address the
// environment names, one that is used for tests alone, and starts one otherwise:
//
//	LECTERN_TEST_POSTGRES    a superuser's postgres:// address
//	LECTERN_TEST_POSTGRES15  the same, of a server of version 15
//	LECTERN_TEST_REDIS       a redis:// address
//	LECTERN_TEST_KAFKA       host:port, of Kafka 4.1
//	LECTERN_TEST_NATS        a nats:// address, with JetStream
//	LECTERN_TEST_S3          http://ACCESS_KEY:SECRET@HOST:PORT
//
// A package whose tests want servers has
//
//	func TestMain(m *testing.M) { stack.Main(m) }
//
// for Postgres, or stack.Main(m, stack.WithRedis) for Redis besides, and so on,
// and calls Database, Redis, Kafka, NATS or S3 in its tests. Tests never skip: a
// server that can't be had fails the run and says what to do. The package is for
// tests, and imports no more of Lectern than it needs to have a server.
package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"testing"
)

// startFailed is the exit code of a run that had no servers.
const startFailed = 1

// Option adds a server to those of a run, which are Postgres alone otherwise.
type Option func(*needs)

// needs are the servers of a run.
type needs []need

// need is one server that tests find by its variable in the environment.
type need struct {
	variable string
	start    func(context.Context) (*server, error)
}

// server is one that runs for us.
type server struct {
	address string
	stop    func() error
}

func allNeeds(options []Option) needs {
	n := needs{{variable: PostgresVariable, start: startPostgres}}
	for _, option := range options {
		option(&n)
	}
	return n
}

func (n need) missing() bool { return os.Getenv(n.variable) == "" }

// Main runs a package's tests with servers, and ends the program as they ended.
// When servers have to be started, the tests run in a process of their own
// beside them: whatever ends the tests, the servers are stopped and their files
// removed, and a search for leaked goroutines finds only those of the tests.
func Main(m *testing.M, options ...Option) {
	os.Exit(run(m, options)) //nolint:forbidigo // TestMain's last act, and m.Run may have run elsewhere
}

func run(m *testing.M, options []Option) int {
	if !slices.ContainsFunc(allNeeds(options), need.missing) {
		if err := ensureRoles(context.Background(), PostgresVariable); err != nil {
			return fail(err)
		}
		return m.Run()
	}
	self, err := os.Executable()
	if err != nil {
		return fail(fmt.Errorf("find test binary: %w", err))
	}
	code, err := Run(context.Background(), append([]string{self}, os.Args[1:]...), options...)
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
func Run(ctx context.Context, command []string, options ...Option) (code int, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn()...)
	defer signal.Stop(signals)

	environment := os.Environ()
	for _, n := range allNeeds(options) {
		if !n.missing() {
			continue
		}
		server, err := startUnlessSignalled(ctx, n)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, server.stop()) }()
		environment = append(environment, n.variable+"="+server.address)
	}

	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("run command: %w", err)
	}
	return wait(cmd, signals)
}

func startUnlessSignalled(ctx context.Context, n need) (*server, error) {
	ctx, cancel := signal.NotifyContext(ctx, passedOn()...)
	defer cancel()
	return n.start(ctx)
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
