package main

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/fx"

	"lectern/adapters/postgres"
	"lectern/app"
	"lectern/configs"
)

// How soon a lost wake-up connection is tried again, the first time and at most.
const (
	wakeBackoffFirst = 200 * time.Millisecond
	wakeBackoffMax   = 10 * time.Second
)

// newSender makes the session by which a process tells others of what it commits. Any
// role will do.
func newSender(lc fx.Lifecycle, db *database) (*postgres.Notifier, error) {
	sender, err := postgres.NewNotifier(context.Background(), cmp.Or(db.relay, db.app, db.worker))
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(sender.Close))
	return sender, nil
}

func newNotifier(log *slog.Logger, sender *postgres.Notifier, signals app.Signals) *app.Notifier {
	return app.NewNotifier(sender, signals, wakeBackoff(), log)
}

func newEntryListener(log *slog.Logger, db *database, sender *postgres.Notifier, signals app.Signals) *app.EntryListener {
	return app.NewEntryListener(postgres.NewListener(db.relay, sender), signals, wakeBackoff(), log)
}

func newEventListener(log *slog.Logger, db *database, sender *postgres.Notifier, signals app.Signals) *app.EventListener {
	return app.NewEventListener(postgres.NewListener(db.app, sender), signals, wakeBackoff(), log)
}

func wakeBackoff() app.Backoff {
	return app.Backoff{Base: wakeBackoffFirst, Max: wakeBackoffMax, Random: rand.Float64}
}

// runNotifier starts before the producers, and so goes on until they have
// stopped: what they commit at the last is told too.
func runNotifier(lc fx.Lifecycle, notifier *app.Notifier) { runBeside(lc, notifier.Run) }

func runEntryListener(lc fx.Lifecycle, c configs.Config, listener *app.EntryListener) {
	if c.Relay.Listen {
		runBeside(lc, listener.Run)
	}
}

func runEventListener(lc fx.Lifecycle, c configs.Config, listener *app.EventListener) {
	if c.Watch.Listen {
		runBeside(lc, listener.Run)
	}
}

// runBeside runs what never fails, and ends soon when it is told to.
func runBeside(lc fx.Lifecycle, run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	lc.Append(fx.StartStopHook(
		func() { running.Go(func() { run(ctx) }) },
		func() { cancel(); running.Wait() },
	))
}
