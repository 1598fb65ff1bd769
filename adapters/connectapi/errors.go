package connectapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	"lectern/domain"
)

// The reasons that belong to the transport. Like the domain's, they are part
// of the API and never change.
const (
	reasonInternal         domain.Reason = "INTERNAL"
	reasonCanceled         domain.Reason = "CANCELED"
	reasonDeadlineExceeded domain.Reason = "DEADLINE_EXCEEDED"
	reasonRequestTooLarge  domain.Reason = "REQUEST_TOO_LARGE"
)

// errorDomain is the domain of every ErrorInfo.
const errorDomain = "lectern"

// codes says which code answers a reason: the one table of them. Another
// organization's course has none: hideForeign answers for it.
func codes() map[domain.Reason]connect.Code {
	return map[domain.Reason]connect.Code{
		domain.ReasonInvalidField:       connect.CodeInvalidArgument,
		domain.ReasonCourseNotFound:     connect.CodeNotFound,
		domain.ReasonDocumentNotFound:   connect.CodeNotFound,
		domain.ReasonIllegalTransition:  connect.CodeFailedPrecondition,
		domain.ReasonIdempotencyReuse:   connect.CodeAlreadyExists,
		domain.ReasonTooManyJobs:        connect.CodeInvalidArgument,
		domain.ReasonJobTooLarge:        connect.CodeInvalidArgument,
		domain.ReasonDuplicateEntry:     connect.CodeAlreadyExists,
		domain.ReasonNotPending:         connect.CodeFailedPrecondition,
		domain.ReasonDocumentTooLarge:   connect.CodeResourceExhausted,
		domain.ReasonDocumentUnreadable: connect.CodeInvalidArgument,
		domain.ReasonDocumentEncrypted:  connect.CodeInvalidArgument,
		domain.ReasonUnsupportedFormat:  connect.CodeInvalidArgument,
		domain.ReasonEntryNotFound:      connect.CodeNotFound,
		domain.ReasonEntryNotDead:       connect.CodeFailedPrecondition,
		domain.ReasonEntryDiscarded:     connect.CodeFailedPrecondition,
		domain.ReasonStaleRun:           connect.CodeFailedPrecondition,
		domain.ReasonCourseEnded:        connect.CodeFailedPrecondition,
		domain.ReasonOtherDeadEntries:   connect.CodeFailedPrecondition,
		domain.ReasonUnauthenticated:    connect.CodeUnauthenticated,
		domain.ReasonUnavailable:        connect.CodeUnavailable,
		reasonInternal:                  connect.CodeInternal,
		reasonCanceled:                  connect.CodeCanceled,
		reasonDeadlineExceeded:          connect.CodeDeadlineExceeded,
		reasonRequestTooLarge:           connect.CodeResourceExhausted,
	}
}

// errorMapper turns what went wrong into the error that a caller sees.
type errorMapper struct {
	codes  map[domain.Reason]connect.Code
	logger *slog.Logger
}

func newErrorMapper(logger *slog.Logger) errorMapper {
	return errorMapper{codes: codes(), logger: logger}
}

// toConnect returns the error to answer with. Only what the caller can act on
// is told; everything else is logged and answered as internal.
func (m errorMapper) toConnect(ctx context.Context, procedure string, err error) error {
	if err == nil {
		return nil
	}
	var (
		known   *domain.Error
		invalid *protovalidate.ValidationError
		mapped  *connect.Error
	)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return m.answer(reasonCanceled, "", "the caller went away")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return m.answer(reasonDeadlineExceeded, "", "the call took longer than its deadline allows: try again with a later one")
	case errors.As(err, &known) && m.codes[known.Reason] != 0:
		m.logOutage(ctx, procedure, known)
		return m.answer(known.Reason, known.Field, known.Error())
	case errors.As(err, &invalid) && len(invalid.Violations) > 0:
		return m.violations(invalid)
	case errors.As(err, &mapped):
		return mapped
	case errors.Is(err, context.Canceled):
		return m.answer(reasonCanceled, "", "the call was canceled")
	case errors.Is(err, context.DeadlineExceeded):
		return m.answer(reasonDeadlineExceeded, "", "the server took too long: try again")
	}
	m.logger.ErrorContext(ctx, "call failed", "procedure", procedure, "error", err)
	return m.answer(reasonInternal, "", "internal error")
}

// hideForeign makes another organization's course look like one that is not
// there: a stranger must not learn that it exists. The log has the truth.
func (m errorMapper) hideForeign(ctx context.Context, procedure string, request any, err error) error {
	if domain.ReasonOf(err) != domain.ReasonForeignCourse {
		return err
	}
	m.logger.WarnContext(ctx, "another organization's course was asked for", "procedure", procedure, "error", err)
	course := "of this id"
	if named, ok := request.(interface{ GetCourseId() string }); ok {
		if id, err := uuid.Parse(named.GetCourseId()); err == nil {
			course = id.String() // written as where there is none, whatever way the caller writes it
		}
	}
	return domain.Errorf(domain.ReasonCourseNotFound, "there is no course %s", course)
}

// logOutage leaves a trace of what a caller is told only the outline of.
// A stopping server has no cause: nothing is wrong.
func (m errorMapper) logOutage(ctx context.Context, procedure string, err *domain.Error) {
	if err.Reason == domain.ReasonUnavailable && err.Err != nil {
		m.logger.WarnContext(ctx, "call could not be served", "procedure", procedure, "error", err, "cause", err.Err)
	}
}

func (m errorMapper) answer(reason domain.Reason, field, message string) *connect.Error {
	info := &errdetails.ErrorInfo{Reason: string(reason), Domain: errorDomain}
	if field != "" {
		info.Metadata = map[string]string{"field": field}
	}
	return withDetail(connect.NewError(m.codes[reason], errors.New(message)), info)
}

// violations answers a request that breaks rules of its schema: the reason and
// the field are the first violation's, the message and the details have all. A
// rule whose id is a reason is answered with that reason.
func (m errorMapper) violations(err *protovalidate.ValidationError) *connect.Error {
	reason := domain.ReasonInvalidField
	first := err.Violations[0].Proto
	if id := domain.Reason(first.GetRuleId()); m.codes[id] != 0 {
		reason = id
	}
	messages := make([]string, len(err.Violations))
	for i, v := range err.Violations {
		messages[i] = protovalidate.FieldPathString(v.Proto.GetField()) + ": " + v.Proto.GetMessage()
	}
	answer := m.answer(reason, protovalidate.FieldPathString(first.GetField()), strings.Join(messages, "; "))
	return withDetail(answer, err.ToProto())
}

// withDetail adds a detail. Only a message that cannot be encoded fails to be
// one; the error itself matters more.
func withDetail(err *connect.Error, detail proto.Message) *connect.Error {
	if d, detailErr := connect.NewErrorDetail(detail); detailErr == nil {
		err.AddDetail(d)
	}
	return err
}

// recovered is what a panic in a handler becomes.
func recovered(_ context.Context, _ connect.Spec, _ http.Header, panicked any) error {
	return fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
}

var _ connect.Interceptor = errorMapper{}

// WrapUnary implements connect.Interceptor.
func (m errorMapper) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		res, err := next(ctx, req)
		err = m.hideForeign(ctx, req.Spec().Procedure, req.Any(), err)
		return res, m.toConnect(ctx, req.Spec().Procedure, err)
	}
}

// WrapStreamingClient implements connect.Interceptor; there is no client here.
func (m errorMapper) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (m errorMapper) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		err := m.hideForeign(ctx, conn.Spec().Procedure, nil, next(ctx, conn))
		return m.toConnect(ctx, conn.Spec().Procedure, err)
	}
}
