package rediscache

import (
	"context"
	"net"
	"sync"
)

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// dialer opens the pool's connections. The pool dials in goroutines of its own,
// for which Close waits.
type dialer struct {
	dial    dial
	running sync.RWMutex
}

// connect returns a connection that is broken, rather than the error, when there
// is none: it fails whoever uses it. The error itself would make the pool print
// it to standard error each time, and after some dial on by itself, past Close.
func (d *dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	d.running.RLock()
	defer d.running.RUnlock()
	conn, err := d.dial(ctx, network, address)
	if err != nil {
		return broken(err), nil
	}
	return conn, nil
}

func (d *dialer) wait() {
	d.running.Lock()
	defer d.running.Unlock()
}

type brokenConn struct {
	net.Conn
	err error
}

func broken(err error) net.Conn {
	conn, _ := net.Pipe() // for deadlines and Close
	return brokenConn{conn, err}
}

// Read implements net.Conn.
func (c brokenConn) Read([]byte) (int, error) { return 0, c.err }

// Write implements net.Conn.
func (c brokenConn) Write([]byte) (int, error) { return 0, c.err }
