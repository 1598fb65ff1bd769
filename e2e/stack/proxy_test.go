package stack_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestAProxyBreaksAndMendsWhatIsBetween(t *testing.T) {
	t.Parallel()
	p := stack.NewProxy(t, echoServer(t))

	c := dialProxy(t, p)
	requireEcho(t, c)

	p.Stall()
	_, err := c.Write([]byte("?"))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	require.ErrorContains(t, err, "timeout", "nothing comes back, and nothing ends")
	p.Restore()
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	_, err = io.ReadFull(c, make([]byte, 1))
	require.NoError(t, err, "what was kept back arrives")

	p.Cut()
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err, "connections end")
	_, err = dialProxy(t, p).Read(make([]byte, 1))
	require.Error(t, err, "new ones too")
	p.Restore()
	requireEcho(t, dialProxy(t, p))

	p.Sever()
	_, err = new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	require.Error(t, err)
}

func dialProxy(t *testing.T, p *stack.Proxy) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func requireEcho(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := c.Write([]byte("hello"))
	require.NoError(t, err)
	got := make([]byte, 5)
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
}

func echoServer(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}
