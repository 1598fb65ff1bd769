package natsbroker_test

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/adapters/natsbroker"
	"lectern/e2e/stack"
)

// advance is a consumer's, with messages in hand and some hundreds that it has
// in advance, since its handlers were quick.
type advance struct {
	stack.NATSStreams
	*natsbroker.Broker
	proxy  *stack.Proxy
	sub    message.Subscriber
	inHand []*message.Message
	left   int // messages that are not settled
}

func newAdvance(t *testing.T, raw ...any) advance {
	t.Helper()
	const n = 600
	s := stack.NATS(t)
	a := advance{NATSStreams: s, proxy: stack.NewProxy(t, host(s.Address)), left: n / 2}
	a.Broker = prepared(t, s, append(raw, "addresses", []any{a.proxy.Addr()})...)
	t.Cleanup(a.proxy.Restore) // before it is closed
	for range n / 100 {
		require.NoError(t, a.Publish("topic", jobs(100)...))
	}
	var msgs <-chan *message.Message
	a.sub, msgs = subscribe(t, a.Broker)
	for range n / 2 {
		require.True(t, receive(t, msgs).Ack())
	}
	for range 4 {
		a.inHand = append(a.inHand, receive(t, msgs))
	}
	return a
}

// requireGivenBack waits until another consumer was handed out n messages, each
// once, and none that is in hand here.
func (a advance) requireGivenBack(t *testing.T, n int) {
	t.Helper()
	got := map[string]bool{}
	for _, m := range a.inHand {
		got[m.UUID] = true
	}
	_, msgs := subscribe(t, prepared(t, a.NATSStreams))
	for range n {
		m := receive(t, msgs)
		require.False(t, got[m.UUID], "twice")
		got[m.UUID] = true
		require.True(t, m.Ack())
	}
}

// slow has what is sent through a proxy arrive a little later, until the test ends.
func slow(t *testing.T, proxy *stack.Proxy) {
	t.Helper()
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticks := time.NewTicker(20 * time.Millisecond)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				proxy.Stall() // and what was kept back since the last one passes
			case <-done:
				proxy.Restore()
				return
			}
		}
	}()
	t.Cleanup(func() { close(done); <-stopped })
}

func TestLeasesAreExtendedWhileASlowConsumerGivesBack(t *testing.T) {
	t.Parallel()
	a := newAdvance(t, "lease", "1s")
	slow(t, a.proxy)
	a.requireGivenBack(t, a.left-len(a.inHand)-1) // one waits for its turn
}

func TestLeasesAreExtendedWhileAClosingConsumerGivesBack(t *testing.T) {
	t.Parallel()
	a := newAdvance(t, "lease", "1s", "close_timeout", patience.String())
	slow(t, a.proxy)
	closed := make(chan error, 1)
	go func() { closed <- a.sub.Close() }()
	a.requireGivenBack(t, a.left-len(a.inHand))
	for _, m := range a.inHand {
		require.True(t, m.Ack())
	}
	require.NoError(t, <-closed)
}

// The rest is waited for meanwhile, and not before.
func TestCloseTimeoutBeginsBeforeTheRestIsGivenBack(t *testing.T) {
	t.Parallel()
	a := newAdvance(t, "timeout", "1h")
	a.proxy.Stall()
	closed := make(chan error, 1)
	go func() { closed <- a.sub.Close() }()
	for _, m := range a.inHand {
		select {
		case <-m.Context().Done():
		case <-time.After(patience):
			require.FailNow(t, "a message in hand was not given up")
		}
	}
	a.proxy.Restore()
	require.NoError(t, <-closed)
}

// Half of the time is left over.
func TestClosingTakesCloseTimeoutAndTimeoutAtMost(t *testing.T) {
	t.Parallel()
	const timeout = 4 * time.Second
	a := newAdvance(t, "timeout", timeout.String(), "close_timeout", timeout.String(), "max_deliveries", 1)
	a.proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), timeout+timeout)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- a.Close() }()
	for _, m := range a.inHand[2:] { // and there is nowhere to bury them; the others are not settled
		require.True(t, m.Nack())
	}
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-ctx.Done():
		require.FailNow(t, "closing hangs")
	}
}
