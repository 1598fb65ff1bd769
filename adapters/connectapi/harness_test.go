package connectapi_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"lectern/adapters/connectapi"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/app"
	"lectern/domain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCourses does what the test says. A use case that the test did not give
// panics, by calling nil.
type fakeCourses struct {
	create     func(context.Context, domain.Identity, app.CreateRequest) (domain.Course, error)
	get        func(context.Context, domain.Identity, uuid.UUID) (domain.Course, []domain.Document, error)
	list       func(context.Context, domain.Identity, uuid.UUID, int) ([]domain.Course, error)
	upload     func(context.Context, domain.Identity, uuid.UUID, string, []byte) (domain.Document, error)
	initiate   func(context.Context, domain.Identity, uuid.UUID, string) (domain.InitializeFSMResult, error)
	initialize func(context.Context, domain.Identity, app.InitializeRequest) (domain.InitializeFSMResult, error)
	cancel     func(context.Context, domain.Identity, uuid.UUID, string, string) (domain.FSMState, error)
	restart    func(context.Context, domain.Identity, uuid.UUID, string) (domain.FSMState, error)
	watch      func(context.Context, domain.Identity, uuid.UUID, int64, func(domain.Event) error) error
	events     func(context.Context, domain.Identity, uuid.UUID, int64, int) ([]domain.Event, error)
}

var _ connectapi.Courses = fakeCourses{}

func (f fakeCourses) Create(ctx context.Context, c domain.Identity, r app.CreateRequest) (domain.Course, error) {
	return f.create(ctx, c, r)
}

func (f fakeCourses) Get(ctx context.Context, c domain.Identity, id uuid.UUID) (domain.Course, []domain.Document, error) {
	return f.get(ctx, c, id)
}

func (f fakeCourses) List(ctx context.Context, c domain.Identity, before uuid.UUID, limit int) ([]domain.Course, error) {
	return f.list(ctx, c, before, limit)
}

func (f fakeCourses) UploadDocument(ctx context.Context, c domain.Identity, id uuid.UUID, name string, content []byte) (domain.Document, error) {
	return f.upload(ctx, c, id, name, content)
}

func (f fakeCourses) InitiateGeneration(ctx context.Context, c domain.Identity, id uuid.UUID, key string) (domain.InitializeFSMResult, error) {
	return f.initiate(ctx, c, id, key)
}

func (f fakeCourses) InitializeFSM(ctx context.Context, c domain.Identity, r app.InitializeRequest) (domain.InitializeFSMResult, error) {
	return f.initialize(ctx, c, r)
}

func (f fakeCourses) Cancel(ctx context.Context, c domain.Identity, id uuid.UUID, key, reason string) (domain.FSMState, error) {
	return f.cancel(ctx, c, id, key, reason)
}

func (f fakeCourses) Restart(ctx context.Context, c domain.Identity, id uuid.UUID, key string) (domain.FSMState, error) {
	return f.restart(ctx, c, id, key)
}

func (f fakeCourses) Watch(ctx context.Context, c domain.Identity, id uuid.UUID, after int64, send func(domain.Event) error) error {
	return f.watch(ctx, c, id, after, send)
}

func (f fakeCourses) Events(ctx context.Context, c domain.Identity, id uuid.UUID, after int64, limit int) ([]domain.Event, error) {
	if f.events == nil {
		return nil, nil
	}
	return f.events(ctx, c, id, after, limit)
}

// fakeHealth is what the test sets it to.
type fakeHealth struct {
	mu     sync.Mutex
	outbox app.OutboxHealth
	ready  error
	live   error
}

func (f *fakeHealth) set(change func(*fakeHealth)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeHealth) Outbox(context.Context) (app.OutboxHealth, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.outbox, f.ready
}

func (f *fakeHealth) Ready(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ready
}

func (f *fakeHealth) Live(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live
}

// log is a log that can be read while it is written.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// me is who calls, in every test that does not say otherwise.
func me() domain.Identity {
	return domain.Identity{OrganizationID: uuid.MustParse("0198a000-0000-7000-8000-000000000001"), UserID: uuid.MustParse("0198a000-0000-7000-8000-000000000002")}
}

type running struct {
	*connectapi.Server

	url string
	log *log
}

// start serves what the test gives and stops when the test ends.
func start(t *testing.T, c connectapi.Config) running {
	t.Helper()
	if c.Health == nil {
		c.Health = &fakeHealth{}
	}
	if c.Courses == nil {
		c.Courses = fakeCourses{}
	}
	if c.Authenticator == nil {
		c.Authenticator = connectapi.FixedIdentity(me())
	}
	return startAs(t, c)
}

// startAs serves what the test gives, and nothing else.
func startAs(t *testing.T, c connectapi.Config) running {
	t.Helper()
	lines := &log{}
	c.Logger = slog.New(slog.NewTextHandler(lines, nil))
	c.HealthInterval = time.Millisecond
	server := connectapi.New(c)
	l, err := connectapi.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		// The test's own context is over by now.
		require.NoError(t, server.Shutdown(context.Background()))
		require.NoError(t, <-served)
	})
	return running{server, "http://" + l.Addr().String(), lines}
}

// protocol is a way to speak to the server.
type protocol struct {
	name    string
	h2c     bool
	options []connect.ClientOption
}

func protocols() []protocol {
	return []protocol{
		{"connect over http/1.1", false, nil},
		{"connect over h2c", true, nil},
		{"connect with json", false, []connect.ClientOption{connect.WithProtoJSON()}},
		{"grpc", true, []connect.ClientOption{connect.WithGRPC()}},
		{"grpc-web", false, []connect.ClientOption{connect.WithGRPCWeb()}},
	}
}

func (p protocol) httpClient(t *testing.T) *http.Client {
	t.Helper()
	var speaks http.Protocols
	speaks.SetHTTP1(!p.h2c)
	speaks.SetUnencryptedHTTP2(p.h2c)
	transport := &http.Transport{Protocols: &speaks}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (p protocol) client(t *testing.T, url string) lecternv1connect.CourseServiceClient {
	t.Helper()
	return lecternv1connect.NewCourseServiceClient(p.httpClient(t), url, p.options...)
}

// clients speak to one server, each over another protocol, by its name.
func clients(t *testing.T, c connectapi.Config) map[string]lecternv1connect.CourseServiceClient {
	t.Helper()
	server := start(t, c)
	made := make(map[string]lecternv1connect.CourseServiceClient)
	for _, p := range protocols() {
		made[p.name] = p.client(t, server.url)
	}
	return made
}

// client speaks Connect over HTTP/1.1.
func client(t *testing.T, url string) lecternv1connect.CourseServiceClient {
	t.Helper()
	return protocols()[0].client(t, url)
}

// detail returns the first detail of its type, or nil.
func detail[M any](t *testing.T, err error) *M {
	t.Helper()
	var failure *connect.Error
	require.ErrorAs(t, err, &failure)
	for _, d := range failure.Details() {
		value, err := d.Value()
		require.NoError(t, err)
		if m, ok := value.(any).(*M); ok {
			return m
		}
	}
	return nil
}

// requireReason checks an error's code, reason and field.
func requireReason(t *testing.T, err error, code connect.Code, reason, field string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, connect.CodeOf(err), "%v", err)
	info := detail[errdetails.ErrorInfo](t, err)
	require.NotNil(t, info, "no ErrorInfo in %v", err)
	require.Equal(t, "lectern", info.GetDomain())
	require.Equal(t, reason, info.GetReason())
	require.Equal(t, field, info.GetMetadata()["field"])
}
