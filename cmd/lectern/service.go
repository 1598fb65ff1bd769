package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"lectern/adapters/connectapi"
	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/configs"
	"lectern/ports"
)

// serverStopTimeout is what a server of ours has to stop in order, after all that
// used it has, before it is cut short.
const serverStopTimeout = 10 * time.Second

// service is a running Lectern.
type service struct {
	url    string
	config configs.Config
	parts  *parts
	app    *fx.App
	db     *database
}

// withService runs Lectern for as long as use takes. The context of use ends
// early when a part of the service fails.
func withService(
	ctx context.Context, c configs.Config, log *slog.Logger, ui progress, use func(ctx context.Context, url string) error,
) error {
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s, err := startService(ctx, c, log, ui, fail)
	if err != nil {
		return why(ctx, err)
	}
	err = why(running, use(running, s.url))
	return errors.Join(err, s.stop(ctx))
}

// startService brings everything up, or leaves nothing behind. A part that
// fails later is told to fail.
func startService(
	ctx context.Context, c configs.Config, log *slog.Logger, ui progress, fail context.CancelCauseFunc,
) (*service, error) {
	// First what fails soonest: nothing else has been touched then.
	l, err := connectapi.Listen(ctx, c.Listen)
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(ctx, c, log, ui)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &service{url: "http://" + l.Addr().String(), config: c, parts: newParts(fail), db: db}
	if err := s.start(ctx, log, l); err != nil {
		_ = l.Close() // closed already if the API was the one to fail
		return nil, errors.Join(err, db.close(ctx))
	}
	return s, nil
}

func (s *service) start(ctx context.Context, log *slog.Logger, l net.Listener) error {
	wired, err := wire(s.config, log, s.db, l, s.parts)
	if err != nil {
		return err
	}
	s.app = fx.New(wired)
	if err := dig.RootCause(s.app.Err()); err != nil {
		return err
	}
	return s.app.Start(ctx)
}

// why returns what really stopped somebody who used the service and got err:
// when the context ended meanwhile, its cause is the reason and err a mere
// result.
func why(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case err == nil || cause == nil:
		return err
	case errors.Is(cause, context.Canceled):
		return errInterrupted
	default:
		return cause
	}
}

var errInterrupted = errors.New("stopped before it was done; what was begun goes on the next time Lectern starts")

// stop ends everything in order within shutdown_timeout, the server of ours last.
// Whoever sends it calls is told first, when it is stopped from outside.
func (s *service) stop(ctx context.Context) error {
	asked := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.ShutdownTimeout)
	defer cancel()
	s.parts.drain()
	if asked {
		wait(ctx, s.config.ShutdownDelay)
	}
	s.parts.stop()
	stopped := make(chan error, 1)
	go func() { stopped <- s.end(ctx) }()
	var err error
	select {
	case err = <-stopped:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		err = s.overdue()
	}
	return errors.Join(err, stopServer(ctx, s.db.server))
}

// end waits for the parts and closes what they used. It may go on past the
// context's end, when something does not let go.
func (s *service) end(ctx context.Context) error {
	if err := s.app.Stop(ctx); err != nil {
		return err
	}
	s.db.closePools()
	return nil
}

// overdue says what has not stopped in time.
func (s *service) overdue() error {
	still := strings.Join(s.parts.still(), ", ")
	return fmt.Errorf("not stopped within shutdown_timeout (%s), and broken off: %s; what was begun goes on elsewhere, or at the next start",
		s.config.ShutdownTimeout, cmp.Or(still, "connections to the broker or the database"))
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func runBackup(lc fx.Lifecycle, p *parts, listener *app.BackupListener) {
	p.background(lc, "backup listener", func(ctx context.Context) error {
		listener.Run(ctx)
		return nil
	})
}

func runWorkers(lc fx.Lifecycle, p *parts, workers *app.Workers) {
	p.background(lc, "workers", workers.Run)
}

func runStallWatch(lc fx.Lifecycle, p *parts, c configs.Config, watch *app.StallWatch) {
	if c.Pipeline.StallAfter > 0 {
		p.background(lc, "watch for stalled courses", watch.Run)
	}
}

func runRelay(lc fx.Lifecycle, p *parts, c configs.Config, db *database, relay ports.Relay) {
	if c.Postgres.Embedded { // and so no other process uses it
		lc.Append(fx.StartHook(postgres.NewOutbox(db.relay, time.Now).ExpireLeases))
	}
	p.background(lc, "relay", relay.Run)
}

// watchServer notices when a server of ours ends by itself.
func watchServer(lc fx.Lifecycle, p *parts, db *database) {
	if db.server == nil {
		return
	}
	p.background(lc, "Postgres", func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-db.server.Done():
			return errors.New("it ended by itself: run again with --verbose to see what it said")
		}
	})
}

// serveAPI serves the API and health.
func serveAPI(
	lc fx.Lifecycle, p *parts, c configs.Config, log *slog.Logger, courses *app.CourseService, operator *app.OperatorService,
	health *app.Health, l net.Listener,
) {
	p.serve(lc, "calls to the API", newAPI(c, log, courses, operator, health), l)
}

// serveHealth serves health alone.
func serveHealth(lc fx.Lifecycle, p *parts, log *slog.Logger, health *app.Health, l net.Listener) {
	p.serve(lc, "calls for health", connectapi.New(connectapi.Config{Health: health, Logger: log}), l)
}

func (p *parts) serve(lc fx.Lifecycle, name string, server *connectapi.Server, l net.Listener) {
	p.onDrain(server.Drain)
	p.background(lc, name, func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
			// Without a limit of its own: past the whole's, the process ends.
			return errors.Join(server.Shutdown(context.WithoutCancel(ctx)), <-served)
		}
	})
}
