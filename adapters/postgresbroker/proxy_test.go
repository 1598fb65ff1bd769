package postgresbroker_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between a broker and its server, and can cut them apart.
type proxy struct {
	listener net.Listener
	server   string
	running  sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// newProxy returns a proxy and the address by which it leads to dsn's server.
func newProxy(t *testing.T, dsn string) (*proxy, string) {
	t.Helper()
	address, err := url.Parse(dsn)
	require.NoError(t, err)
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, server: address.Host}
	p.running.Go(func() { p.accept(context.WithoutCancel(t.Context())) })
	t.Cleanup(p.sever)
	address.Host = listener.Addr().String()
	return p, address.String()
}

func (p *proxy) accept(ctx context.Context) {
	var dialer net.Dialer
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := dialer.DialContext(ctx, "tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.join(client, server)
		p.join(server, client)
	}
}

func (p *proxy) join(from, to net.Conn) {
	p.mu.Lock()
	p.conns = append(p.conns, from)
	cut := p.cut
	p.mu.Unlock()
	if cut {
		_ = from.Close()
	}
	p.running.Go(func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	})
}

// sever cuts every connection, and refuses others from now on.
func (p *proxy) sever() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.cut = true
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}
