package rediscache_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"lectern/adapters/rediscache"
	"lectern/e2e/stack"
)

// severalTries is time enough for a cache to try a server again, twice.
const severalTries = 2500 * time.Millisecond

func TestAnOutageIsToldOnceAndSoIsItsEnd(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	c, log := open(t, options(server.Address()))
	set(t, c)
	require.True(t, hits(t, c))
	for range 2 {
		require.Empty(t, log.lines(t))
		server.Stop()
		began := time.Now()
		var calls int
		for time.Since(began) < severalTries {
			require.False(t, hits(t, c))
			set(t, c)
			calls += 2
			<-time.After(time.Millisecond)
		}
		require.NotEmpty(t, log.one(t, "WARN", "not reached").Error)
		log.forget()

		server.Start()
		more := eventually(t, c)

		over := log.one(t, "INFO", "reached again")
		require.GreaterOrEqual(t, over.Missed, calls)
		require.LessOrEqual(t, over.Missed, calls+more)
		require.GreaterOrEqual(t, over.Lasted, severalTries)
		require.Less(t, over.Lasted, time.Since(began))
		log.forget()
	}
}

func TestAServerThatDoesNotAnswerHardlyCostsAnything(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	c, log := open(t, options(server.Address()))
	set(t, c)
	require.True(t, hits(t, c))
	server.Pause()

	const callers, calls = 5, 50
	began := time.Now()
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for range calls {
				asked := time.Now()
				if hits(t, c) || time.Since(asked) > timeout+time.Second { // a pause of the machine is not ours
					t.Errorf("a call took %s, or was a hit", time.Since(asked))
				}
			}
		})
	}
	wait.Wait()
	require.Less(t, time.Since(began), calls*timeout/2, "calls have each paid the timeout")
	log.one(t, "WARN", "not reached")
	log.forget()

	server.Resume()
	eventually(t, c)
	log.one(t, "INFO", "reached again")
}

func TestACacheIsMadeWhileItsServerIsDown(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	server.Stop()
	c, log := open(t, options(server.Address()))
	require.Empty(t, log.lines(t))
	require.False(t, hits(t, c))
	require.Contains(t, log.one(t, "WARN", "not reached").Error, "connection refused")
	log.forget()
	server.Start()
	eventually(t, c)
	log.one(t, "INFO", "reached again")
}

func TestAWrongPasswordIsAnOutageAndIsNotLogged(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	root := admin(t, server.Address())
	require.NoError(t, root.ConfigSet(t.Context(), "requirepass", "right").Err())
	opts := options(server.Address())
	opts.URL = "redis://:s3cret@" + opts.URL[len("redis://"):]
	c, log := open(t, opts)
	for range 20 {
		set(t, c)
		require.False(t, hits(t, c))
	}
	told := log.one(t, "WARN", "not reached")
	require.Contains(t, told.Error, "WRONGPASS")
	require.NotContains(t, fmt.Sprint(told), "s3cret")
	log.forget()

	require.NoError(t, root.ConfigSet(t.Context(), "requirepass", "s3cret").Err())
	eventually(t, c)
	log.one(t, "INFO", "reached again")
}

func TestAMissingPasswordIsAnOutage(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	require.NoError(t, admin(t, server.Address()).ConfigSet(t.Context(), "requirepass", "right").Err())
	c, log := open(t, options(server.Address()))
	for range 20 {
		require.False(t, hits(t, c))
		set(t, c)
	}
	require.Contains(t, log.one(t, "WARN", "not reached").Error, "NOAUTH")
}

func TestAServerThatTakesNothingStillTellsWhatItHas(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		refuse, relent []any
		says           string
	}{
		"full":                {[]any{"config", "set", "maxmemory", "1"}, []any{"config", "set", "maxmemory", "0"}, "OOM"},
		"a user who may read": {[]any{"acl", "setuser", "default", "-set"}, []any{"acl", "setuser", "default", "+set"}, "NOPERM"},
		"a replica": {
			[]any{"replicaof", "127.0.0.1", "1"}, []any{"replicaof", "no", "one"}, "READONLY",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := stack.StartRedis(t)
			root := admin(t, server.Address())
			c, log := open(t, options(server.Address()))
			set(t, c)
			require.NoError(t, root.Do(t.Context(), tc.refuse...).Err())

			for began := time.Now(); time.Since(began) < severalTries; {
				set(t, c)
				require.True(t, hits(t, c))
				<-time.After(time.Millisecond)
			}

			require.Contains(t, log.one(t, "WARN", "takes no answers").Error, tc.says)
			log.forget()
			require.NoError(t, root.Do(t.Context(), tc.relent...).Err())
			require.Eventually(t, func() bool { set(t, c); return len(log.lines(t)) > 0 }, patience, 10*time.Millisecond)
			require.Positive(t, log.one(t, "INFO", "takes answers again").Missed)
		})
	}
}

func TestACallerWithoutTimeIsNoOutage(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	opts := options(server.Address())
	opts.Timeout = patience
	c, log := open(t, opts)
	set(t, c)
	server.Pause()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		began := time.Now()
		_, hit := c.Get(ctx, uuid.Nil, key)
		require.False(t, hit)
		c.Set(ctx, uuid.Nil, key, answer(t), time.Hour)
		require.Less(t, time.Since(began), patience/2)
		cancel()
	}
	server.Resume()
	require.True(t, hits(t, c), "the callers who left have shut the cache for the others")
	require.Empty(t, log.lines(t))
}

func TestAServerOfUnknownCertificateIsNotTrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	opts := options("rediss://" + server.Listener.Addr().String())
	opts.Timeout = patience
	c, log := open(t, opts)
	require.False(t, hits(t, c))
	require.Contains(t, log.one(t, "WARN", "not reached").Error, "certificate")
}

func TestCloseWaitsForCallsAndEndsTheCache(t *testing.T) {
	t.Parallel()
	url, reached := mute(t)
	c, log := open(t, options(url))
	began := time.Now()
	returned := make(chan bool, 1)
	go func() { returned <- hits(t, c) }()
	<-reached

	require.NoError(t, c.Close())

	require.GreaterOrEqual(t, time.Since(began), timeout, "the call had not ended")
	require.False(t, <-returned)
	log.one(t, "WARN", "not reached")
	set(t, c)
	require.False(t, hits(t, c))
	require.NoError(t, c.Close())
	log.one(t, "WARN", "not reached")
}

// Not parallel: it looks at what there is of the whole process. The client's
// own pool would print each failure, and dial on after its end.
func TestAnOutagePrintsNothingAndLeavesNothingRunning(t *testing.T) {
	silent, _ := mute(t)
	running := goleak.IgnoreCurrent()
	printed := &printer{}
	redis.SetLogger(printed)
	t.Cleanup(logging.Enable)
	for _, url := range []string{"redis://" + nobody(t), "rediss://" + nobody(t), silent} {
		opts := options(url)
		opts.PoolSize = 1
		c, err := rediscache.New(opts, time.Now, discard())
		require.NoError(t, err)
		require.False(t, hits(t, c))
		require.NoError(t, c.Close())
	}
	goleak.VerifyNone(t, running)
	require.Zero(t, printed.lines.Load())
}

// nobody returns an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// mute is a server that takes connections and says nothing. It tells when it has
// one.
func mute(t *testing.T) (url string, reached <-chan struct{}) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	signal, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		close(signal)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, conn) // until the client goes
		_ = conn.Close()
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-done
	})
	return "redis://" + l.Addr().String(), signal
}

// printer counts what the client prints.
type printer struct{ lines atomic.Int64 }

// Printf implements the client's logger.
func (p *printer) Printf(context.Context, string, ...any) { p.lines.Add(1) }
