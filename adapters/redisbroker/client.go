package redisbroker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// poolSize is above what a process's consumers and its relay use at once.
const poolSize = 32

// client is a connection pool, with what its Close has to wait for.
type client struct {
	*redis.Client
	dialer *dialer
}

// connector makes clients that are alike.
type connector struct {
	opts Options
	tls  *tls.Config
}

func newConnector(opts Options) (*connector, error) {
	if _, _, err := opts.Login.Read(); err != nil { // and say so at once
		return nil, err
	}
	config, err := opts.TLS.Config()
	if err != nil {
		return nil, err
	}
	return &connector{opts, config}, nil
}

// client returns what does each call once, in time, and nothing in the
// background. RESP 3 would bring messages that we did not ask for. The login is
// read anew for each connection: passwords change.
func (c *connector) client(size int) *client {
	d := &dialer{tcp: &net.Dialer{Timeout: c.opts.Timeout}, tls: c.tls}
	return &client{redis.NewClient(&redis.Options{
		Addr: c.opts.Addresses[0], DB: c.opts.Database,
		CredentialsProviderContext: func(context.Context) (string, string, error) { return c.opts.Login.Read() },
		Dialer:                     d.connect, Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: c.opts.Timeout, ReadTimeout: c.opts.Timeout, WriteTimeout: c.opts.Timeout, PoolTimeout: c.opts.Timeout,
		PoolSize: size, PipelinePoolSize: -1,
	}), d}
}

// interrupt ends the call that is under way, and has all others fail. It is for a
// client of one connection. (Close would end the call too, and have the pool
// print that it found its connection closed.)
func (c *client) interrupt() {
	c.dialer.mu.Lock()
	defer c.dialer.mu.Unlock()
	c.dialer.interrupted = true
	if c.dialer.latest != nil {
		_ = c.dialer.latest.Close()
	}
}

// close ends the connections.
func (c *client) close() error {
	err := c.Close()
	c.dialer.running.Lock() // waits for those who dial
	defer c.dialer.running.Unlock()
	if err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("close connections: %w", err)
	}
	return nil
}

// dialer opens a pool's connections. The pool dials in goroutines of its own.
type dialer struct {
	tcp     *net.Dialer
	tls     *tls.Config // nil for none
	running sync.RWMutex

	mu          sync.Mutex
	latest      net.Conn
	interrupted bool
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
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.latest = conn; d.interrupted {
		_ = conn.Close()
	}
	return conn, nil
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if d.tls == nil {
		return d.tcp.DialContext(ctx, network, address)
	}
	return (&tls.Dialer{NetDialer: d.tcp, Config: d.tls}).DialContext(ctx, network, address)
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
