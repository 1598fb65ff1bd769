package connectapi_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/domain"
)

func TestAnAddressInUseIsToldWithWhatToDo(t *testing.T) {
	t.Parallel()
	first, err := connectapi.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Close()) }()
	address := first.Addr().String()
	_, err = connectapi.Listen(t.Context(), address)
	var inUse *connectapi.AddressInUseError
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, address, inUse.Address)
	require.ErrorContains(t, err, address)
	require.ErrorContains(t, err, "choose another address")
}

func TestAnAddressThatIsNoneIsNamed(t *testing.T) {
	t.Parallel()
	_, err := connectapi.Listen(t.Context(), "127.0.0.1:http-ish")
	require.ErrorContains(t, err, "127.0.0.1:http-ish")
}

const smallDocument = 1 << 20

// smallServer takes documents of at most smallDocument.
func smallServer() connectapi.Config {
	return connectapi.Config{
		MaxDocumentBytes: smallDocument,
		Courses: fakeCourses{
			upload: func(_ context.Context, _ domain.Identity, _ uuid.UUID, _ string, content []byte) (domain.Document, error) {
				return domain.Document{Size: int64(len(content))}, nil
			},
		},
	}
}

func upload(content []byte) *connect.Request[lecternv1.UploadDocumentRequest] {
	return connect.NewRequest(&lecternv1.UploadDocumentRequest{CourseId: uuid.NewString(), Name: "a.txt", Content: content})
}

func TestTheLargestDocumentFitsHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t, smallServer()) {
		t.Run(name, func(t *testing.T) {
			res, err := c.UploadDocument(t.Context(), upload(bytes.Repeat([]byte{0xff}, smallDocument)))
			require.NoError(t, err)
			require.EqualValues(t, smallDocument, res.Msg.GetDocument().GetSizeBytes())
		})
	}
}

func TestADocumentFarTooLargeIsRefusedUnread(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t, smallServer()) {
		t.Run(name, func(t *testing.T) {
			_, err := c.UploadDocument(t.Context(), upload(make([]byte, 16*smallDocument)))
			requireReason(t, err, connect.CodeResourceExhausted, "DOCUMENT_TOO_LARGE", "content")
			require.ErrorContains(t, err, "at most 1 MiB")
		})
	}
}

func TestABodyWithoutEndIsBrokenOff(t *testing.T) {
	t.Parallel()
	server := start(t, smallServer())
	for _, p := range protocols()[:2] {
		t.Run(p.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				server.url+lecternv1connect.CourseServiceUploadDocumentProcedure, endless{})
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/proto")
			res, err := p.httpClient(t).Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusTooManyRequests, res.StatusCode, "resource_exhausted in HTTP")
			require.Contains(t, string(body), "at most 1 MiB")
			require.Contains(t, string(body), "resource_exhausted")
		})
	}
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestASmallBodyMayNotUnpackToALargeOne(t *testing.T) {
	t.Parallel()
	server := start(t, smallServer())
	p := protocols()[0]
	c := lecternv1connect.NewCourseServiceClient(p.httpClient(t), server.url, connect.WithSendGzip())
	_, err := c.UploadDocument(t.Context(), upload(make([]byte, 16*smallDocument)))
	require.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err), "%v", err)
}

func TestAnyOtherRequestHasItsOwnLimit(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t, connectapi.Config{Courses: fakeCourses{}}) {
		t.Run(name, func(t *testing.T) {
			_, err := c.CreateCourse(t.Context(), connect.NewRequest(&lecternv1.CreateCourseRequest{Title: strings.Repeat("a", 33<<20)}))
			requireReason(t, err, connect.CodeResourceExhausted, "REQUEST_TOO_LARGE", "")
			require.ErrorContains(t, err, "at most 32 MiB")
		})
	}
}

// slow is a server with one call that takes until it is released.
func slow(t *testing.T) (server running, entered <-chan struct{}, release func(), answered <-chan error) {
	t.Helper()
	in, out, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	server = start(t, connectapi.Config{Courses: fakeCourses{
		get: func(ctx context.Context, _ domain.Identity, id uuid.UUID) (domain.Course, []domain.Document, error) {
			close(in)
			select {
			case <-out:
			case <-ctx.Done():
			}
			return course(id), nil, ctx.Err()
		},
	}})
	c := client(t, server.url)
	go func() { done <- get(t.Context(), c) }()
	return server, in, func() { close(out) }, done
}

func TestShutdownWaitsForCallsUnderWay(t *testing.T) {
	t.Parallel()
	server, entered, release, answered := slow(t)
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- server.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool {
		l, err := connectapi.Listen(t.Context(), server.url[len("http://"):])
		return err == nil && l.Close() == nil
	}, time.Minute, time.Millisecond, "the server stops listening first")
	select {
	case err := <-stopped:
		t.Fatalf("Shutdown returned before the call did: %v", err)
	default:
	}
	release()
	require.NoError(t, <-answered)
	require.NoError(t, <-stopped)
}

func TestShutdownBreaksOffWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	server, entered, _, answered := slow(t)
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, server.Shutdown(ctx), "stop server")
	require.Error(t, <-answered)
}
