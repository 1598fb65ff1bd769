package embeddedpostgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	portTries   = 5
	readyPoll   = 20 * time.Millisecond
	dialTimeout = 2 * time.Second
	// invalidPassword is the SQLSTATE of a wrong password.
	invalidPassword = "28P01"
)

var errPortTaken = errors.New("the port was taken by another program")

// Server is a running Postgres. Stop it.
type Server struct {
	folder   *folder
	process  *process
	options  Options
	password string
	port     int
	stopOnce sync.Once
	stopErr  error
}

// Port is where the server listens, on 127.0.0.1. It differs from start to start.
func (s *Server) Port() int { return s.port }

// DSN is the address of the database for one of the roles of the options.
func (s *Server) DSN(role string) (string, error) {
	if !slices.Contains(s.options.logins(), role) {
		return "", fmt.Errorf("find address: no role %q here, only %s", role, strings.Join(s.options.logins(), ", "))
	}
	return s.address(role, s.options.Database), nil
}

// SuperuserDSN is the address for the superuser. It is for tests and rescue: the
// program itself never needs it.
func (s *Server) SuperuserDSN() string { return s.address(Superuser, "postgres") }

func (s *Server) address(role, database string) string {
	return (&url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     database,
		RawQuery: "sslmode=disable",
	}).String()
}

// Done is closed when the server has ended, by Stop or by itself.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// Stop ends the server and its clients' connections and gives the folder back.
// When the context ends first the server is stopped the hard way, which is an
// error, but loses nothing. Further calls return what the first did.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		s.stopErr = errors.Join(s.process.stop(ctx), s.folder.release())
	})
	return s.stopErr
}

// launch starts the server on a free port. Somebody may take the port before
// the server does; then there is another.
func launch(ctx context.Context, f *folder, bin, password string, o Options) (*Server, error) {
	for range portTries {
		port, err := o.freePort(ctx)
		if err != nil {
			return nil, fmt.Errorf("find free port: %w", err)
		}
		s := &Server{folder: f, options: o, password: password, port: port}
		if err = s.launch(ctx, bin); err == nil {
			return s, nil
		}
		if !errors.Is(err, errPortTaken) {
			return nil, fmt.Errorf("start Postgres: %w", err)
		}
	}
	return nil, fmt.Errorf("start Postgres: %w, %d times over", errPortTaken, portTries)
}

func freePort(ctx context.Context) (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, err := netip.ParseAddrPort(listener.Addr().String())
	return int(address.Port()), errors.Join(err, listener.Close())
}

func (s *Server) launch(ctx context.Context, bin string) error {
	// The server outlives the context of its start.
	cmd := s.folder.command(context.WithoutCancel(ctx), bin, "postgres", syscall.SIGINT, s.args()...)
	p, err := startProcess(cmd, &tail{log: s.options.Log})
	if err != nil {
		return err
	}
	s.process = p
	if err := s.waitReady(ctx); err != nil {
		return errors.Join(err, p.abandon(ctx))
	}
	return nil
}

// args put our settings last, where they win.
func (s *Server) args() []string {
	args := []string{"-D", s.folder.data(), "-p", strconv.Itoa(s.port)}
	for _, name := range slices.Sorted(maps.Keys(s.options.Settings)) {
		args = append(args, "-c", name+"="+s.options.Settings[name])
	}
	return append(args, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
}

// waitReady waits until the server lets us in, however long its recovery takes.
func (s *Server) waitReady(ctx context.Context) error {
	retry := time.NewTicker(readyPoll)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.process.done:
			return s.whyEnded()
		case <-retry.C:
		}
		if ready, err := s.tryConnect(ctx); ready || err != nil {
			return err
		}
	}
}

func (s *Server) whyEnded() error {
	last := s.process.tail.String()
	if strings.Contains(last, "could not create any TCP/IP sockets") {
		return errPortTaken
	}
	return fmt.Errorf("it ended (%s) and said:\n%s", s.process.cmd.ProcessState, last)
}

// tryConnect fails when waiting won't help.
func (s *Server) tryConnect(ctx context.Context) (ready bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.SuperuserDSN())
	var refusal *pgconn.PgError
	switch {
	case err == nil:
		return true, conn.Close(ctx)
	case errors.As(err, &refusal) && refusal.Code == invalidPassword:
		return false, fmt.Errorf("the password in %s is not this data's: %w", s.folder.path("password"), err)
	}
	return false, nil
}
