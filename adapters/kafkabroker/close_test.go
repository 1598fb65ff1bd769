package kafkabroker_test

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"lectern/adapters/kafkabroker"
	"lectern/e2e/stack"
)

// A client that closes waits for a commit that is under way, and makes requests
// that no timeout of ours bounds. Without an end to that, it took three times as long.
//
//nolint:paralleltest // it looks at the clock
func TestClosingEndsThoughTheNetworkSwallows(t *testing.T) {
	const timeout, closeTimeout = 600 * time.Millisecond, 10 * time.Millisecond
	running := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, running) })
	s := newShare(t, map[string]any{"partitions": 1})
	s.publish(t, 6)
	proxy := stack.NewProxy(t, s.kafka.Addresses[0])
	t.Cleanup(proxy.Restore)
	var armed atomic.Bool
	stalled := make(chan struct{})
	stall := sync.OnceFunc(func() {
		proxy.Stall()
		close(stalled)
	})
	b := openWatching(t, s, proxy.Addr(), map[string]any{"timeout": timeout.String(), "close_timeout": closeTimeout.String()}, func() error {
		if armed.Load() {
			stall()
		}
		return nil
	})
	require.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, patience, tick)
	sub, msgs := subscribe(t, b)
	acked := receive(t, msgs)
	receive(t, msgs) // and it stays in hand
	armed.Store(true)
	require.True(t, acked.Ack())
	<-stalled
	began := time.Now()
	require.NoError(t, sub.Close())
	require.Less(t, time.Since(began), 2*(timeout+closeTimeout))
}

// openWatching has a function called before each commit is sent, which may break
// the connection instead. Every one goes to the address.
func openWatching(t *testing.T, s share, address string, raw map[string]any, onCommit func() error) *kafkabroker.Broker {
	t.Helper()
	var dialer net.Dialer
	return closing(t)(kafkabroker.NewDialing(decode(t, s.kafka, raw), testLogger(t), func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		return watched{conn, onCommit}, err
	}))
}

// watched is a connection to a broker.
type watched struct {
	net.Conn
	onCommit func() error
}

// Write is given a request at a time: its length, and its kind.
func (w watched) Write(request []byte) (int, error) {
	if binary.BigEndian.Uint16(request[4:]) == uint16(kmsg.OffsetCommit) {
		if err := w.onCommit(); err != nil {
			return 0, err
		}
	}
	return w.Conn.Write(request)
}
