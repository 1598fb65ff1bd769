package redisbroker_test

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
)

// lossyListener accepts connections of which one loses the answer to the first
// call that has a text in it: it is withheld, and the connection cut when cut is
// closed.
type lossyListener struct {
	net.Listener
	text          []byte
	found         atomic.Bool
	withheld, cut chan struct{}
}

func newLossyListener(l net.Listener, text string) *lossyListener {
	return &lossyListener{Listener: l, text: []byte(text), withheld: make(chan struct{}), cut: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *lossyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lossyConn{Conn: conn, listener: l}, nil
}

type lossyConn struct {
	net.Conn
	listener *lossyListener
	losing   atomic.Bool
}

// Read implements net.Conn.
func (c *lossyConn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if bytes.Contains(into[:n], c.listener.text) {
		c.losing.Store(true)
	}
	return n, err
}

// Write implements net.Conn. That the server doesn't know a script is no answer
// yet.
func (c *lossyConn) Write(answer []byte) (int, error) {
	if !c.losing.Swap(false) || bytes.HasPrefix(answer, []byte("-NOSCRIPT")) || c.listener.found.Swap(true) {
		return c.Conn.Write(answer)
	}
	close(c.listener.withheld)
	<-c.listener.cut
	return 0, io.ErrClosedPipe
}
