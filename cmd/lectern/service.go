package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"lectern/adapters/connectapi"
	"lectern/app"
	"lectern/configs"
)

// How long stopping in order may take before it is cut short.
const (
	stopTimeout       = 20 * time.Second
	serverStopTimeout = 10 * time.Second
)

// service is a running Lectern.
type service struct {
	url string
	app *fx.App
	db  *database
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
	s := &service{url: "http://" + l.Addr().String(), db: db}
	if err := s.start(ctx, c, log, l, fail); err != nil {
		_ = l.Close() // closed already if the API was the one to fail
		return nil, errors.Join(err, db.close(ctx))
	}
	return s, nil
}

func (s *service) start(ctx context.Context, c configs.Config, log *slog.Logger, l net.Listener, fail context.CancelCauseFunc) error {
	parts, err := wire(c, log, s.db, l, fail)
	if err != nil {
		return err
	}
	s.app = fx.New(parts)
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

// stop ends everything in order, the server of ours last.
func (s *service) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(s.app.Stop(ctx), s.db.close(ctx))
}

func runBackup(lc fx.Lifecycle, listener *app.BackupListener, fail context.CancelCauseFunc) {
	background(lc, fail, "run backup listener", func(ctx context.Context) error {
		listener.Run(ctx)
		return nil
	})
}

func runWorkers(lc fx.Lifecycle, workers *app.Workers, fail context.CancelCauseFunc) {
	background(lc, fail, "run workers", workers.Run)
}

func runRelay(lc fx.Lifecycle, relay *app.Relay, fail context.CancelCauseFunc) {
	background(lc, fail, "run relay", relay.Run)
}

// watchServer notices when a server of ours ends by itself.
func watchServer(lc fx.Lifecycle, db *database, fail context.CancelCauseFunc) {
	if db.server == nil {
		return
	}
	background(lc, fail, "keep Postgres running", func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-db.server.Done():
			return errors.New("it ended by itself: run again with --verbose to see what it said")
		}
	})
}

func serveAPI(
	lc fx.Lifecycle, c configs.Config, log *slog.Logger, courses *app.CourseService,
	operator *app.OperatorService, health *app.Health, l net.Listener,
	fail context.CancelCauseFunc,
) {
	api := newAPI(c, log, courses, operator, health)
	background(lc, fail, "serve API", func(context.Context) error { return api.Serve(l) })
	lc.Append(fx.StopHook(api.Shutdown))
}

// background runs a part of the service from its start to its stop. A part
// that ends by itself ends the whole.
func background(lc fx.Lifecycle, fail context.CancelCauseFunc, what string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	start := func() {
		go func() {
			defer close(done)
			if err := run(ctx); err != nil {
				fail(fmt.Errorf("%s: %w", what, err))
			}
		}()
	}
	stop := func(stopping context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-stopping.Done():
			return fmt.Errorf("stop (%s): %w", what, stopping.Err())
		}
	}
	lc.Append(fx.StartStopHook(start, stop))
}
