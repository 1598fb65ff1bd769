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

// Notifier tells other processes what this one committed. It runs beside the
// producers, whose transactions it costs nothing.
type Notifier struct {
	notifier ports.Notifier
	news     *news
	backoff  Backoff
	log      *slog.Logger

	added <-chan struct{} // closed by what committed since the notifier was made
}

// NewNotifier makes a notifier; Run starts it.
func NewNotifier(notifier ports.Notifier, signals Signals, backoff Backoff, log *slog.Logger) *Notifier {
	return &Notifier{notifier, signals.news, backoff, log, signals.news.added.C()}
}

// Run notifies until ctx ends, and then once more for what committed last. What
// can't be sent is sent again after a delay.
func (n *Notifier) Run(ctx context.Context) {
	added := n.added
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			if !isClosed(added) {
				return
			}
		case <-added:
		}
		next := n.news.added.C() // before taking it, so that nothing slips in between
		err := n.notify(ctx)
		switch {
		case err == nil:
			added, failures = next, 0
			wait(ctx, notifyGap, nil)
		case ctx.Err() != nil:
			n.log.WarnContext(ctx, "last entries and events not told to other processes, which will find them by polling", "error", err)
			return
		default:
			failures++
			logOutage(ctx, n.log, failures, "can't tell other processes of entries and events, which they find by polling meanwhile", err)
			wait(ctx, n.backoff.Delay(failures), nil)
		}
	}
}

// notify goes on when the process is told to stop: see Run.
func (n *Notifier) notify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifyTimeout)
	defer cancel()
	taken := n.news.take()
	err := n.notifier.Notify(ctx, taken)
	if err != nil {
		n.news.add(taken.Entries, taken.Courses)
	}
	return err
}

// EntryListener wakes this process's relay when others commit entries.
type EntryListener struct{ listener }

// NewEntryListener makes a listener; Run starts it.
func NewEntryListener(l ports.EntryListener, signals Signals, backoff Backoff, log *slog.Logger) *EntryListener {
	return &EntryListener{listener{
		what: "entries", backoff: backoff, log: log, missed: signals.Entries.Notify,
		listen: func(ctx context.Context, ready func()) error {
			return l.ListenForEntries(ctx, ready, signals.Entries.Notify)
		},
	}}
}

// EventListener wakes those who watch a course in this process when others commit
// events of it.
type EventListener struct{ listener }

// NewEventListener makes a listener; Run starts it.
func NewEventListener(l ports.EventListener, signals Signals, backoff Backoff, log *slog.Logger) *EventListener {
	return &EventListener{listener{
		what: "events", backoff: backoff, log: log, missed: signals.Events.NotifyAll,
		listen: func(ctx context.Context, ready func()) error {
			return l.ListenForEvents(ctx, ready, signals.Events.Notify)
		},
	}}
}

// listener hears of what other processes commit, and knows whether it does.
type listener struct {
	what    string
	listen  func(ctx context.Context, ready func()) error
	missed  func() // wakes whoever may have missed something
	backoff Backoff
	log     *slog.Logger
	hears   atomic.Bool
}

// Hears tells whether other processes' commits reach us. While they don't, who
// waits for them must look for himself.
func (l *listener) Hears() bool { return l.hears.Load() }

// Run listens until ctx ends, and again after a delay when that fails.
func (l *listener) Run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		err := l.listen(ctx, l.ready)
		if ctx.Err() != nil {
			break
		}
		if l.hears.Swap(false) {
			failures = 0
			l.missed() // so that who waits for long waits anew, for less
		}
		failures++
		logOutage(ctx, l.log, failures, "can't hear of other processes' "+l.what+", polling meanwhile", err)
		wait(ctx, l.backoff.Delay(failures), nil)
	}
	l.hears.Store(false)
}

// ready wakes them for what was missed.
func (l *listener) ready() {
	l.hears.Store(true)
	l.missed()
	l.log.Debug("listening for other processes' " + l.what)
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
