package connectapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/validate"

	"lectern/adapters/connectapi/gen/grpc/health/v1/healthv1connect"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/domain"
	"lectern/ports"
)

// Config is what a Server is made of. The first two fields are required.
type Config struct {
	Health Health
	Logger *slog.Logger

	// Courses and their outbox, and who may call; without them health alone is served.
	Courses       Courses
	Outbox        Outbox
	Authenticator ports.Authenticator

	// MaxDocumentBytes bounds an uploaded document; 0 means
	// domain.MaxDocumentBytes, which is also the most that it can be.
	MaxDocumentBytes int
	// HealthInterval is how often the gRPC Watch of health looks for a change;
	// 0 means 5 s.
	HealthInterval time.Duration
}

// Server serves the API on one port over HTTP/1.1 and, without TLS, HTTP/2.
type Server struct {
	http  *http.Server
	drain context.CancelFunc // ends readiness
	stop  context.CancelFunc // ends streams
}

// New makes a server that does not listen yet.
func New(c Config) *Server {
	ctx, stop := context.WithCancel(context.Background())
	ready, drain := context.WithCancel(ctx)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &Server{
		drain: drain,
		stop:  stop,
		http: &http.Server{
			Handler:   handler(c, serving{ctx: ctx, ready: ready}),
			Protocols: &protocols,
			// No bound on a whole request or answer: uploads may be slow and
			// streams long. A peer that is gone is found by HTTP/2's pings.
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			HTTP2:             &http.HTTP2Config{SendPingTimeout: 30 * time.Second, WriteByteTimeout: 30 * time.Second},
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
		},
	}
}

// Serve takes calls from the listener, and closes it, until Shutdown is called
// or the listener fails. It returns nil after a Shutdown.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return nil
}

// Drain makes the server unready, and goes on: whoever sends it calls has time
// to notice before Shutdown.
func (s *Server) Drain() { s.drain() }

// Shutdown stops the server: it takes no more calls, ends streams with
// UNAVAILABLE, and waits for the other calls. When ctx ends first, it breaks
// them off and returns an error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	if err := s.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("stop server: %w", errors.Join(err, s.http.Close()))
	}
	return nil
}

// AddressInUseError says that another program listens on the address.
type AddressInUseError struct {
	Address string
	Err     error
}

// Error implements error.
func (e *AddressInUseError) Error() string {
	return fmt.Sprintf("listen on %s: the address is in use: stop the program that listens there, or choose another address", e.Address)
}

// Unwrap returns the system's error.
func (e *AddressInUseError) Unwrap() error { return e.Err }

// Listen opens a TCP listener on address, "host:port"; port 0 takes a free
// one. An *AddressInUseError says that somebody else has it.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &AddressInUseError{Address: address, Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// handler puts everything that is served behind its path.
func handler(c Config, s serving) http.Handler {
	errs := newErrorMapper(c.Logger)
	bounds := limits{errs: errs, document: cmp.Or(c.MaxDocumentBytes, domain.MaxDocumentBytes)}
	p := probes{health: c.Health, serving: s, logger: c.Logger}
	mux := http.NewServeMux()
	p.register(mux)
	services := []string{healthv1connect.HealthName}

	if c.Courses != nil {
		services = append(services, lecternv1connect.CourseServiceName, lecternv1connect.OutboxServiceName)
		mux.HandleFunc("GET /{$}", p.index)
		guarded := connect.WithHandlerOptions(
			connect.WithRequestGate(authenticate(c.Authenticator, errs)),
			bounds.decoded(),
			strictCodecs(),
			// The outermost first: what is recovered and refused is then mapped.
			connect.WithInterceptors(errs),
			connect.WithRecover(recovered),
			connect.WithInterceptors(validate.NewInterceptor()),
		)
		path, courses := lecternv1connect.NewCourseServiceHandler(courseService{courses: c.Courses, serving: s}, guarded)
		mux.Handle(path, bounds.wrap(courses))
		path, outbox := lecternv1connect.NewOutboxServiceHandler(outboxService{c.Outbox}, guarded)
		mux.Handle(path, bounds.wrap(outbox))
	}

	// Health and reflection are open: they tell nothing about courses.
	open := connect.WithHandlerOptions(
		connect.WithReadMaxBytes(maxProbeBytes),
		connect.WithInterceptors(errs),
		connect.WithRecover(recovered),
	)
	mux.Handle(healthv1connect.NewHealthHandler(grpcHealth{
		services: append(services, ""), ready: p.ready, serving: s, interval: cmp.Or(c.HealthInterval, 5*time.Second),
	}, open))
	reflector := grpcreflect.NewStaticReflector(services...)
	path, v1 := grpcreflect.NewHandlerV1(reflector, open)
	mux.Handle(path, s.endStreams(v1))
	path, v1alpha := grpcreflect.NewHandlerV1Alpha(reflector, open)
	mux.Handle(path, s.endStreams(v1alpha))
	return mux
}
