package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"lectern/ports"
)

const (
	// notifyGap is the least time between two notifications: the commits of
	// that time share one.
	notifyGap = 5 * time.Millisecond
	// notifyTimeout bounds one notification, and so how long the last one of a
	// process may hold up its stop.
	notifyTimeout = 2 * time.Second
)

// EntryNotifier tells other processes what this one committed. It runs beside
// the producers, whose transactions it costs nothing.
type EntryNotifier struct {
	notifier ports.EntryNotifier
	signals  Signals
	backoff  Backoff
	log      *slog.Logger

	committed <-chan struct{} // closed by what committed since the notifier was made
}

// NewEntryNotifier makes a notifier; Run starts it.
func NewEntryNotifier(notifier ports.EntryNotifier, signals Signals, backoff Backoff, log *slog.Logger) *EntryNotifier {
	return &EntryNotifier{notifier, signals, backoff, log, signals.committedEntries.C()}
}

// Run notifies until ctx ends, and then once more for what committed last. What
// can't be sent is sent again after a delay.
func (n *EntryNotifier) Run(ctx context.Context) {
	committed := n.committed
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			if !isClosed(committed) {
				return
			}
		case <-committed:
		}
		next := n.signals.committedEntries.C() // before notifying, so that no commit slips in between
		err := n.notify(ctx)
		switch {
		case err == nil:
			committed, failures = next, 0
			wait(ctx, notifyGap, nil)
		case ctx.Err() != nil:
			n.log.WarnContext(ctx, "last entries not told to other processes, whose relays will find them by polling", "error", err)
			return
		default:
			failures++
			logOutage(ctx, n.log, failures, "can't tell other processes of new entries, whose relays find them by polling meanwhile", err)
			wait(ctx, n.backoff.Delay(failures), nil)
		}
	}
}

// notify goes on when the process is told to stop: see Run.
func (n *EntryNotifier) notify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifyTimeout)
	defer cancel()
	return n.notifier.NotifyEntries(ctx)
}

// EntryListener wakes this process's relay when others commit entries.
type EntryListener struct {
	listener ports.EntryListener
	signals  Signals
	backoff  Backoff
	log      *slog.Logger
	hears    atomic.Bool
}

// NewEntryListener makes a listener; Run starts it.
func NewEntryListener(listener ports.EntryListener, signals Signals, backoff Backoff, log *slog.Logger) *EntryListener {
	return &EntryListener{listener: listener, signals: signals, backoff: backoff, log: log}
}

// Hears tells whether other processes' commits reach us. While they don't, the
// relay must look for itself.
func (l *EntryListener) Hears() bool { return l.hears.Load() }

// Run listens until ctx ends, and again after a delay when that fails.
func (l *EntryListener) Run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		err := l.listener.ListenForEntries(ctx, l.ready, l.signals.Entries.Notify)
		if ctx.Err() != nil {
			break
		}
		if l.hears.Swap(false) {
			failures = 0
			l.signals.Entries.Notify() // so that a relay that waits for long waits anew, for less
		}
		failures++
		logOutage(ctx, l.log, failures, "can't hear of other processes' entries, polling meanwhile", err)
		wait(ctx, l.backoff.Delay(failures), nil)
	}
	l.hears.Store(false)
}

// ready wakes the relay for what was missed.
func (l *EntryListener) ready() {
	l.hears.Store(true)
	l.signals.Entries.Notify()
	l.log.Debug("listening for other processes' entries")
}

// logOutage warns once an outage.
func logOutage(ctx context.Context, log *slog.Logger, failures int, what string, err error) {
	level := slog.LevelDebug
	if failures == 1 {
		level = slog.LevelWarn
	}
	log.Log(ctx, level, what, "error", err, "failures", failures)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
