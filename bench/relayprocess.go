package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"lectern/adapters/postgres"
	"lectern/app"
)

// acrossProcesses is a caller's process, which tells others what it committed,
// and `lectern serve --roles relay`, which listens.
func (r *relays) acrossProcesses(to target) func(context.Context) (flow, func() error, error) {
	return func(ctx context.Context) (flow, func() error, error) {
		seen, stopConsumer, err := r.consumer(ctx, to)
		if err != nil {
			return flow{}, nil, err
		}
		signals, stopNotifier, err := r.notifier(ctx)
		if err != nil {
			return flow{}, nil, errors.Join(err, stopConsumer())
		}
		stopRelay, err := r.relayProcess(ctx, to)
		stop := func() error {
			stopNotifier()
			return stopConsumer()
		}
		if err != nil {
			return flow{}, nil, errors.Join(err, stop())
		}
		return r.commands(signals, seen), func() error { return errors.Join(stopRelay(), stop()) }, nil
	}
}

// notifier tells other processes of what is signalled, as each process of
// Lectern has it.
func (r *relays) notifier(ctx context.Context) (app.Signals, func(), error) {
	session, err := postgres.NewNotifier(ctx, r.pg.app)
	if err != nil {
		return app.Signals{}, nil, err
	}
	signals := app.NewSignals()
	backoff := app.Backoff{Base: time.Second, Max: time.Second, Random: rand.Float64}
	n := app.NewNotifier(session, signals, backoff, r.log)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx) })
	return signals, func() { cancel(); running.Wait(); session.Close() }, nil
}

// relayProcess starts a relay of the built program, with the built-in config but
// for addresses, and returns what stops it.
func (r *relays) relayProcess(ctx context.Context, to target) (func() error, error) {
	program, err := buildProgram(ctx, r.pg.dir)
	if err != nil {
		return nil, err
	}
	dsn, err := r.pg.embedded.DSN(relayRole)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(r.pg.dir, "relay.yaml")
	config := fmt.Sprintf("listen: 127.0.0.1:0\npostgres: {embedded: false, relay_dsn: %q}\n"+
		"broker: {kind: %s, options: {addresses: [%q], topic_prefix: %q}}\n"+
		"identity: {organization_id: %s, user_id: %s}\n",
		dsn, strings.ToLower(to.name), to.address(), to.called(""), r.caller.OrganizationID, r.caller.UserID)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	said := &bytes.Buffer{}
	cmd := exec.CommandContext(ctx, program, "--config", file, "serve", "--roles", "relay")
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	return func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM) // Wait has the error if it had ended
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("relay ended: %w: %s", err, said)
		}
		return nil
	}, nil
}

// buildProgram makes the program in a folder, once.
func buildProgram(ctx context.Context, dir string, flags ...string) (string, error) {
	program := filepath.Join(dir, "lectern")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), "-o", program, "./cmd/lectern")...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lectern: %w: %s", err, out)
	}
	return program, nil
}
