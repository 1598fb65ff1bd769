package connectapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"lectern/adapters/connectapi"
	healthv1 "lectern/adapters/connectapi/gen/grpc/health/v1"
	"lectern/adapters/connectapi/gen/grpc/health/v1/healthv1connect"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/app"
	"lectern/domain"
)

// grpcHealth makes a gRPC client of health for a server that lets nobody else in.
func grpcHealth(t *testing.T, health *fakeHealth) (healthv1connect.HealthClient, running) {
	t.Helper()
	server := start(t, connectapi.Config{Health: health, Authenticator: stranger{}})
	p := protocols()[3]
	require.Equal(t, "grpc", p.name)
	return healthv1connect.NewHealthClient(p.httpClient(t), server.url, p.options...), server
}

func TestGRPCHealthTellsReadinessToAnybody(t *testing.T) {
	t.Parallel()
	health := &fakeHealth{}
	c, _ := grpcHealth(t, health)
	for _, tt := range []struct {
		ready error
		want  healthv1.HealthCheckResponse_ServingStatus
	}{
		{nil, healthv1.HealthCheckResponse_SERVING},
		{errors.New("no database"), healthv1.HealthCheckResponse_NOT_SERVING},
	} {
		health.set(func(h *fakeHealth) { h.ready = tt.ready })
		for _, service := range []string{"", lecternv1connect.CourseServiceName, lecternv1connect.OutboxServiceName, healthv1connect.HealthName} {
			res, err := c.Check(t.Context(), connect.NewRequest(&healthv1.HealthCheckRequest{Service: service}))
			require.NoError(t, err)
			require.Equal(t, tt.want, res.Msg.GetStatus())
		}
		all, err := c.List(t.Context(), connect.NewRequest(&healthv1.HealthListRequest{}))
		require.NoError(t, err)
		require.Len(t, all.Msg.GetStatuses(), 4)
		require.Equal(t, tt.want, all.Msg.GetStatuses()[lecternv1connect.CourseServiceName].GetStatus())
	}
	_, err := c.Check(t.Context(), connect.NewRequest(&healthv1.HealthCheckRequest{Service: "other.Service"}))
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
}

func TestGRPCHealthWatchSendsChangesAndAFarewell(t *testing.T) {
	t.Parallel()
	health := &fakeHealth{}
	c, server := grpcHealth(t, health)
	stream, err := c.Watch(t.Context(), connect.NewRequest(&healthv1.HealthCheckRequest{}))
	require.NoError(t, err)
	expect := func(want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		require.True(t, stream.Receive(), "%v", stream.Err())
		require.Equal(t, want, stream.Msg().GetStatus())
	}
	expect(healthv1.HealthCheckResponse_SERVING)
	health.set(func(h *fakeHealth) { h.ready = errors.New("no broker") })
	expect(healthv1.HealthCheckResponse_NOT_SERVING)
	health.set(func(h *fakeHealth) { h.ready = nil })
	expect(healthv1.HealthCheckResponse_SERVING)
	require.NoError(t, server.Shutdown(t.Context()))
	expect(healthv1.HealthCheckResponse_NOT_SERVING)
	require.False(t, stream.Receive())
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(stream.Err()))
	require.NoError(t, stream.Close())
}

func TestGRPCHealthWatchKeepsAnUnknownServiceWatched(t *testing.T) {
	t.Parallel()
	c, server := grpcHealth(t, &fakeHealth{})
	stream, err := c.Watch(t.Context(), connect.NewRequest(&healthv1.HealthCheckRequest{Service: "other.Service"}))
	require.NoError(t, err)
	require.True(t, stream.Receive(), "%v", stream.Err())
	require.Equal(t, healthv1.HealthCheckResponse_SERVICE_UNKNOWN, stream.Msg().GetStatus())
	require.NoError(t, server.Shutdown(t.Context()))
	require.False(t, stream.Receive(), "nothing but the end follows")
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(stream.Err()))
	require.NoError(t, stream.Close())
}

func TestReflectionListsTheServicesToAnybody(t *testing.T) {
	t.Parallel()
	server := start(t, connectapi.Config{Authenticator: stranger{}})
	p := protocols()[3]
	c := grpcreflect.NewClient(p.httpClient(t), server.url, p.options...)
	stream := c.NewStream(t.Context())
	services, err := stream.ListServices()
	require.NoError(t, err)
	require.ElementsMatch(t, []protoreflect.FullName{lecternv1connect.CourseServiceName, lecternv1connect.OutboxServiceName, healthv1connect.HealthName}, services)
	files, err := stream.FileContainingSymbol(lecternv1connect.CourseServiceName)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	_, err = stream.Close()
	require.NoError(t, err)
}

func TestAnOpenReflectionStreamDoesNotHoldUpShutdown(t *testing.T) {
	t.Parallel()
	server := start(t, connectapi.Config{})
	p := protocols()[3]
	stream := grpcreflect.NewClient(p.httpClient(t), server.url, p.options...).NewStream(t.Context())
	_, err := stream.ListServices()
	require.NoError(t, err)
	require.NoError(t, server.Shutdown(t.Context()))
	_, err = stream.Close()
	require.Error(t, err)
}

// fetch returns the status, content type and body of a GET.
func fetch(t *testing.T, url string) (status int, contentType, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	res, err := protocols()[0].httpClient(t).Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	content, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, res.Header.Get("Content-Type"), string(content)
}

func TestProbesGiveTheirReason(t *testing.T) {
	t.Parallel()
	health := &fakeHealth{}
	server := start(t, connectapi.Config{Health: health, Authenticator: stranger{}})
	for _, path := range []string{"/livez", "/readyz"} {
		status, _, body := fetch(t, server.url+path)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "ok\n", body)
	}
	health.set(func(h *fakeHealth) { h.ready, h.live = errors.New("reach broker: gone"), errors.New("deadlock") })
	status, _, body := fetch(t, server.url+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "reach broker: gone\n", body)
	status, _, body = fetch(t, server.url+"/livez")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "deadlock\n", body)
}

func TestOutboxHealthHasItsDocumentedForm(t *testing.T) {
	t.Parallel()
	processed := noon()
	tests := map[string]struct {
		health app.OutboxHealth
		err    error
		status int
		body   string
	}{
		"idle": {
			app.OutboxHealth{Alive: true, PollInterval: time.Second},
			nil,
			http.StatusOK, `{"alive":true,"lastProcessed":null,"queueDepth":0,"pollInterval":1000}`,
		},
		"busy": {
			app.OutboxHealth{Alive: true, LastProcessed: &processed, QueueDepth: 7, PollInterval: 1500 * time.Millisecond},
			nil,
			http.StatusOK, `{"alive":true,"lastProcessed":"2026-11-24T12:00:00.123456Z","queueDepth":7,"pollInterval":1500}`,
		},
		"relay stuck": {
			app.OutboxHealth{QueueDepth: 7, PollInterval: time.Second},
			nil,
			http.StatusServiceUnavailable, `{"alive":false,"lastProcessed":null,"queueDepth":7,"pollInterval":1000}`,
		},
		"database gone": {
			app.OutboxHealth{PollInterval: time.Second},
			errors.New("reach database: gone"),
			http.StatusServiceUnavailable, `{"alive":false,"lastProcessed":null,"queueDepth":0,"pollInterval":1000}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, connectapi.Config{Health: &fakeHealth{outbox: tt.health, ready: tt.err}})
			status, contentType, body := fetch(t, server.url+"/api/health/outbox")
			require.Equal(t, tt.status, status)
			require.Equal(t, "application/json", contentType)
			require.Equal(t, tt.body+"\n", body)
			if tt.err != nil {
				require.Contains(t, server.log.String(), tt.err.Error())
			}
		})
	}
}

func TestWhereTheRelayDoesNotRunNobodyTellsHowItIs(t *testing.T) {
	t.Parallel()
	server := start(t, connectapi.Config{Health: &fakeHealth{ready: app.ErrNoRelay}})
	status, _, body := fetch(t, server.url+"/api/health/outbox")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "ask one whose roles include relay")
}

func TestADrainingServerIsUnreadyAndStillTakesCalls(t *testing.T) {
	t.Parallel()
	server := start(t, connectapi.Config{Courses: fakeCourses{
		get: func(_ context.Context, _ domain.Identity, id uuid.UUID) (domain.Course, []domain.Document, error) {
			return course(id), nil, nil
		},
	}})
	p := protocols()[3]
	health, err := healthv1connect.NewHealthClient(p.httpClient(t), server.url, p.options...).
		Watch(t.Context(), connect.NewRequest(&healthv1.HealthCheckRequest{}))
	require.NoError(t, err)
	require.True(t, health.Receive(), "%v", health.Err())
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, health.Msg().GetStatus())

	server.Drain()

	status, _, body := fetch(t, server.url+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "the server is stopping")
	require.True(t, health.Receive(), "%v", health.Err())
	require.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, health.Msg().GetStatus())
	status, _, _ = fetch(t, server.url+"/livez")
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, get(t.Context(), client(t, server.url)), "a call that came too late to be sent elsewhere")
	require.NoError(t, server.Shutdown(t.Context()))
	require.False(t, health.Receive(), "it was told already")
	require.NoError(t, health.Close())
}

func TestAServerWithoutCoursesServesHealthAlone(t *testing.T) {
	t.Parallel()
	server := startAs(t, connectapi.Config{Health: &fakeHealth{}})
	for path, want := range map[string]int{
		"/livez": http.StatusOK, "/readyz": http.StatusOK, "/": http.StatusNotFound,
		lecternv1connect.CourseServiceGetCourseProcedure: http.StatusNotFound,
	} {
		status, _, _ := fetch(t, server.url+path)
		require.Equal(t, want, status, path)
	}
	p := protocols()[3]
	c := healthv1connect.NewHealthClient(p.httpClient(t), server.url, p.options...)
	_, err := c.Check(t.Context(), connect.NewRequest(&healthv1.HealthCheckRequest{Service: lecternv1connect.CourseServiceName}))
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
}

func TestTheFirstPageSaysWhereThingsAre(t *testing.T) {
	t.Parallel()
	server := start(t, connectapi.Config{Courses: fakeCourses{}})
	status, contentType, body := fetch(t, server.url+"/")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "text/html; charset=utf-8", contentType)
	for _, path := range []string{lecternv1connect.CourseServiceName, healthv1connect.HealthName, "/livez", "/readyz", "/api/health/outbox"} {
		require.Contains(t, body, path)
	}
	status, _, _ = fetch(t, server.url+"/nothing/here")
	require.Equal(t, http.StatusNotFound, status)
}
