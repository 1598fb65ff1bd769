package connectapi

import (
	"fmt"
	"io"
	"net/http"

	"connectrpc.com/connect"

	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/domain"
)

const (
	// maxRequestBytes bounds every request but an upload: a command's 8 MiB of
	// job data, written as messages, which take up to four times its JSON.
	maxRequestBytes = 4 * domain.MaxCommandBytes
	// maxProbeBytes bounds requests for health and reflection.
	maxProbeBytes = 64 << 10
)

// limits bounds the bodies of requests, so that nobody fills the memory.
type limits struct {
	errs     errorMapper
	document int // bytes of the largest document
}

// bytesOf returns the most bytes that a request to procedure may have. An
// upload's content grows by a third when it is written as JSON.
func (l limits) bytesOf(procedure string) int {
	if procedure == lecternv1connect.CourseServiceUploadDocumentProcedure {
		return l.document/3*4 + 1<<20
	}
	return maxRequestBytes
}

// decoded bounds what a message may unpack to.
func (l limits) decoded() connect.HandlerOption {
	return connect.WithConditionalHandlerOptions(func(spec connect.Spec) []connect.HandlerOption {
		return []connect.HandlerOption{connect.WithReadMaxBytes(l.bytesOf(spec.Procedure))}
	})
}

// tooLarge is the answer to a request past its limit.
func (l limits) tooLarge(procedure string) *connect.Error {
	if procedure == lecternv1connect.CourseServiceUploadDocumentProcedure {
		return l.errs.answer(domain.ReasonDocumentTooLarge, "content", fmt.Sprintf(
			"content: a document has at most %s: split it, or leave out its pictures", size(l.document)))
	}
	return l.errs.answer(reasonRequestTooLarge, "", "a request has at most "+size(maxRequestBytes))
}

// wrap refuses a body that says it is too large before it is read, and breaks
// off one that turns out to be. The decoder alone would read it to its end.
func (l limits) wrap(next http.Handler) http.Handler {
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		procedure := r.URL.Path
		most := int64(l.bytesOf(procedure))
		if r.ContentLength > most {
			if err := writer.Write(w, r, l.tooLarge(procedure)); err != nil {
				l.errs.logger.DebugContext(r.Context(), "answer not written", "procedure", procedure, "error", err)
			}
			return
		}
		// The server must find its own body in its own request, to let a caller
		// who still sends read the answer: hence a copy.
		bounded := *r
		bounded.Body = &boundedBody{ReadCloser: r.Body, left: most + envelopeBytes, err: l.tooLarge(procedure)}
		next.ServeHTTP(w, &bounded)
	})
}

// envelopeBytes is the prefix of a message in gRPC.
const envelopeBytes = 5

// boundedBody fails with err once more than left bytes were read.
type boundedBody struct {
	io.ReadCloser

	left int64
	err  error
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.err
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, b.err
	}
	return n, err
}

func size(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
