package postgres_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"lectern/adapters/postgres"
	"lectern/e2e/stack"
	"lectern/ports"
)

const wakePatience = 30 * time.Second

// hearing is a listener that runs, and what it said.
type hearing struct {
	ready, heard chan struct{}
	ended        chan error
	stop         context.CancelFunc
}

// process is what one process has of the wake-up.
type process struct {
	*postgres.Notifier
	listener *postgres.Listener
}

// newProcess logs in as roles of a service do, sending at one address and
// listening at another.
func newProcess(t *testing.T, sendAt, listenAt string) process {
	t.Helper()
	n, err := postgres.NewNotifier(t.Context(), open(t, sendAt))
	require.NoError(t, err)
	t.Cleanup(n.Close)
	l := postgres.NewListener(open(t, listenAt), n)
	l.CheckEvery, l.HearTimeout = 100*time.Millisecond, 2*time.Second
	return process{n, l}
}

func (p process) listen(t *testing.T) hearing {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h := hearing{make(chan struct{}, 100), make(chan struct{}, 100), make(chan error, 1), cancel}
	go func() {
		h.ended <- p.listener.ListenForEntries(ctx, func() { h.ready <- struct{}{} }, func() { h.heard <- struct{}{} })
		close(h.ended)
	}()
	t.Cleanup(func() {
		cancel()
		for range h.ended { // until it has returned
			continue
		}
	})
	return h
}

func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(wakePatience):
		t.Fatalf("never came: %s", what)
		panic("unreachable")
	}
}

// through returns an address by way of a proxy.
func through(t *testing.T, dsn string) (string, *stack.Proxy) {
	t.Helper()
	address, err := url.Parse(dsn)
	require.NoError(t, err)
	proxy := stack.NewProxy(t, address.Host)
	address.Host = proxy.Addr()
	return address.String(), proxy
}

func TestAnyRolesProcessWakesTheRelaysOfOthersAndNotItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	relay := newProcess(t, b.db.Relay, b.db.Relay)
	h := relay.listen(t)
	within(t, "ready", h.ready)
	for role, dsn := range map[string]string{"app": b.db.App, "worker": b.db.Worker, "relay": b.db.Relay} {
		require.NoError(t, relay.Notify(t.Context(), ports.News{Entries: true}), "its own, of which it takes no notice")
		require.NoError(t, newProcess(t, dsn, dsn).Notify(t.Context(), ports.News{Entries: true}))
		within(t, "word of "+role, h.heard)
		require.Empty(t, h.heard)
	}
	h.stop()
	require.ErrorIs(t, within(t, "the end", h.ended), context.Canceled)
}

// More courses than one notification holds, with entries besides, of which a
// listener for events hears nothing.
func TestAProcessHearsOfTheCoursesThatOthersChangedAndNotItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	api := newProcess(t, b.db.App, b.db.App)
	ctx, cancel := context.WithCancel(t.Context())
	ready, heard, ended := make(chan struct{}, 1), make(chan []uuid.UUID, 100), make(chan error, 1)
	go func() {
		ended <- api.listener.ListenForEvents(ctx, func() { ready <- struct{}{} }, func(courses ...uuid.UUID) { heard <- courses })
	}()
	within(t, "ready", ready)
	want := make([]uuid.UUID, 450)
	for i := range want {
		want[i] = uuid.New()
	}
	require.NoError(t, api.Notify(t.Context(), ports.News{Courses: want}), "its own, of which it takes no notice")
	_, err := connect(t, b.db.Relay).Exec(t.Context(), `select pg_notify('lectern_events', 'events:somebody:nonsense')`)
	require.NoError(t, err)
	require.Empty(t, within(t, "nonsense", heard))
	require.NoError(t, newProcess(t, b.db.Worker, b.db.Worker).Notify(t.Context(), ports.News{Entries: true, Courses: want}))
	var got []uuid.UUID
	for len(got) < len(want) {
		got = append(got, within(t, "the courses", heard)...)
	}
	require.Equal(t, want, got)
	cancel()
	require.ErrorIs(t, within(t, "the end", ended), context.Canceled)
}

// Two that check by what they hear don't wake each other's relays thereby.
func TestChecksOfSilenceWakeNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := newProcess(t, b.db.Relay, b.db.Relay), newProcess(t, b.db.Relay, b.db.Relay)
	one.listener.CheckEvery, two.listener.CheckEvery = time.Millisecond, time.Millisecond
	first, second := one.listen(t), two.listen(t)
	within(t, "ready", first.ready)
	within(t, "ready", second.ready)
	conn := connect(t, b.db.Superuser)
	_, err := conn.Exec(t.Context(), "listen lectern_job_outbox")
	require.NoError(t, err)
	for range 20 {
		n, err := conn.WaitForNotification(t.Context())
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(n.Payload, "probe:"), n.Payload)
	}
	require.Empty(t, first.heard)
	require.Empty(t, second.heard)
	require.Empty(t, first.ended)
}

func TestALostConnectionEndsListening(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lose func(*testing.T, *bundle, *stack.Proxy)
		want string
	}{
		"its session is ended": {
			lose: func(t *testing.T, b *bundle, _ *stack.Proxy) {
				t.Helper()
				_, err := connect(t, b.db.Superuser).Exec(t.Context(), `select pg_terminate_backend(pid)
					from pg_stat_activity where application_name = 'lectern listen' and datname = current_database()`)
				require.NoError(t, err)
			},
			want: "listen for entries: ",
		},
		"the network cuts it": {
			lose: func(_ *testing.T, _ *bundle, p *stack.Proxy) { p.Cut() },
			want: "listen for entries: ",
		},
		"the network swallows everything": { // half open: no side hears of it
			lose: func(_ *testing.T, _ *bundle, p *stack.Proxy) { p.Stall() },
			want: "listen for entries: what is sent does not arrive: the network is gone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			at, proxy := through(t, b.db.Relay)
			relay := newProcess(t, b.db.Relay, at)
			h := relay.listen(t)
			within(t, "ready", h.ready)

			tc.lose(t, b, proxy)
			require.ErrorContains(t, within(t, "the end", h.ended), tc.want)
			require.Empty(t, h.heard)
			if name != "its session is ended" {
				require.Error(t, within(t, "a failure to listen again", relay.listen(t).ended))
			}
			proxy.Restore()
			h = relay.listen(t)
			within(t, "ready again", h.ready)
			require.NoError(t, newProcess(t, b.db.App, b.db.App).Notify(t.Context(), ports.News{Entries: true}))
			within(t, "word of the app", h.heard)
		})
	}
}

// The database that it sends in is another: what LISTEN meets behind PgBouncer in
// transaction mode, where it succeeds and brings nothing (e2e has the real one).
func TestAListenerThatNothingReachesIsNeverReady(t *testing.T) {
	t.Parallel()
	b, other := setup(t), setup(t)
	relay := newProcess(t, other.db.Relay, b.db.Relay)
	relay.listener.HearTimeout = 500 * time.Millisecond
	h := relay.listen(t)
	require.ErrorContains(t, within(t, "the end", h.ended), "set relay.listen to false")
	require.Empty(t, h.ready)
}

func TestANotifierOutlivesItsSession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at, proxy := through(t, b.db.App)
	app := newProcess(t, at, at)
	h := newProcess(t, b.db.Relay, b.db.Relay).listen(t)
	within(t, "ready", h.ready)
	require.NoError(t, app.Notify(t.Context(), ports.News{Entries: true}))
	within(t, "word of the app", h.heard)
	for name, lose := range map[string]func(){"cut": proxy.Cut, "stall": proxy.Stall} {
		lose()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		require.Error(t, app.Notify(ctx, ports.News{Entries: true}), name)
		cancel()
		proxy.Restore()
		for app.Notify(t.Context(), ports.News{Entries: true}) != nil { // as the caller does, until a session is new
			require.NoError(t, t.Context().Err())
		}
		within(t, "word after the outage", h.heard)
	}
}

func TestNothingOfTheWakeUpRunsOnAfterItsEnd(t *testing.T) {
	b := setup(t)
	like := open(t, b.db.Relay)
	before := goleak.IgnoreCurrent()
	for range 3 {
		n, err := postgres.NewNotifier(t.Context(), like)
		require.NoError(t, err)
		l := postgres.NewListener(like, n)
		ctx, cancel := context.WithCancel(t.Context())
		require.ErrorIs(t, l.ListenForEntries(ctx, cancel, func() {}), context.Canceled)
		n.Close()
	}
	goleak.VerifyNone(t, before)
}
