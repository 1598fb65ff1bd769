package stack

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a test's client and a server, to break what is between
// them. It does so at once and for every connection.
type Proxy struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	server string // host:port
	cut    bool
	flow   chan struct{} // closed while bytes pass
	conns  map[net.Conn]struct{}
}

// NewProxy returns a proxy to the server at a host:port, which ends with the test.
func NewProxy(tb testing.TB, server string) *Proxy {
	tb.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen for a proxy: %v", err)
	}
	p := &Proxy{listener: listener, server: server, flow: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(p.flow)
	p.running.Go(func() { p.accept(context.WithoutCancel(tb.Context())) })
	tb.Cleanup(p.Sever)
	return p
}

// Addr returns the host:port that leads to the server.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Lead has new connections lead to another host:port.
func (p *Proxy) Lead(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

func (p *Proxy) leadsTo() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server
}

// Cut ends every connection, and each new one as soon as it is made, until Restore.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.open()
}

// Stall keeps back all bytes from now on, and ends nothing, until Restore: the
// network swallows what is sent, as when a cable is pulled.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open()
	p.flow = make(chan struct{})
}

// Restore undoes Cut and Stall.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.open()
}

// Sever cuts for good: nothing listens any more. It waits until all is closed.
func (p *Proxy) Sever() {
	_ = p.listener.Close()
	p.Cut()
	p.running.Wait()
}

// open lets the bytes pass. The lock is held.
func (p *Proxy) open() {
	select {
	case <-p.flow:
	default:
		close(p.flow)
	}
}

func (p *Proxy) accept(ctx context.Context) {
	var dialer net.Dialer
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := dialer.DialContext(ctx, "tcp", p.leadsTo())
		if err != nil {
			_ = client.Close()
			continue
		}
		p.join(client, server)
		p.join(server, client)
	}
}

func (p *Proxy) join(from, to net.Conn) {
	p.mu.Lock()
	p.conns[from] = struct{}{}
	if p.cut {
		_ = from.Close()
	}
	p.mu.Unlock()
	p.running.Go(func() {
		_, _ = io.Copy(to, reader{p, from})
		_ = to.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = from.Close()
		delete(p.conns, from)
	})
}

// reader gives what it reads when it may pass.
type reader struct {
	p    *Proxy
	from net.Conn
}

// Read implements io.Reader.
func (r reader) Read(into []byte) (int, error) {
	n, err := r.from.Read(into)
	r.p.mu.Lock()
	flow := r.p.flow
	r.p.mu.Unlock()
	<-flow
	return n, err
}
