package connectapi_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/app"
	"lectern/domain"
)

// failing is a server whose GetCourse fails with err.
func failing(err error) connectapi.Config {
	return connectapi.Config{Courses: fakeCourses{
		get: func(context.Context, domain.Identity, uuid.UUID) (domain.Course, []domain.Document, error) {
			return domain.Course{}, nil, err
		},
	}}
}

func get(ctx context.Context, c lecternv1connect.CourseServiceClient) error {
	_, err := c.GetCourse(ctx, connect.NewRequest(&lecternv1.GetCourseRequest{CourseId: uuid.NewString()}))
	return err
}

// domainReasons reads the reasons from the domain's source, so that none can be
// forgotten here.
func domainReasons(t *testing.T) []domain.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../domain/errors.go", nil, 0)
	require.NoError(t, err)
	var reasons []domain.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if named, ok := spec.Type.(*ast.Ident); ok && named.Name == "Reason" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			reasons = append(reasons, domain.Reason(value))
		}
		return true
	})
	require.Contains(t, reasons, domain.ReasonUnavailable)
	return reasons
}

func TestEveryReasonOfTheDomainHasItsCode(t *testing.T) {
	t.Parallel()
	reasons := slices.DeleteFunc(domainReasons(t), func(r domain.Reason) bool { return r == domain.ReasonForeignCourse }) // the next test's
	for _, reason := range reasons {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			failure := &domain.Error{Reason: reason, Field: "some_field", Message: "is wrong: mend it", Err: errors.New("secret cause")}
			c := client(t, start(t, failing(fmt.Errorf("secret wrapper: %w", failure))).url)
			err := get(t.Context(), c)
			requireReason(t, err, connect.CodeOf(err), string(reason), "some_field")
			require.NotContains(t, []connect.Code{connect.CodeInternal, connect.CodeUnknown}, connect.CodeOf(err), "the table of codes lacks it")
			require.ErrorContains(t, err, "some_field: is wrong: mend it")
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestAnotherOrganizationsCourseLooksLikeNone(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	failing := func(err error) connectapi.Config {
		err = fmt.Errorf("initialize fsm: %w", err)
		return connectapi.Config{Courses: fakeCourses{
			initiate: func(context.Context, domain.Identity, uuid.UUID, string) (domain.InitializeFSMResult, error) {
				return domain.InitializeFSMResult{}, err
			},
			initialize: func(context.Context, domain.Identity, app.InitializeRequest) (domain.InitializeFSMResult, error) {
				return domain.InitializeFSMResult{}, err
			},
			cancel: func(context.Context, domain.Identity, uuid.UUID, string, string) (domain.FSMState, error) {
				return domain.FSMState{}, err
			},
			restart: func(context.Context, domain.Identity, uuid.UUID, string) (domain.FSMState, error) {
				return domain.FSMState{}, err
			},
		}}
	}
	none := client(t, start(t, failing(domain.Errorf(domain.ReasonCourseNotFound, "there is no course %s", id))).url)
	server := start(t, failing(&domain.Error{Reason: domain.ReasonForeignCourse, Message: "it belongs to another organization"}))
	foreign := client(t, server.url)
	for _, written := range []string{id.String(), strings.ToUpper(id.String())} {
		for _, request := range []any{
			&lecternv1.InitiateGenerationRequest{CourseId: written, IdempotencyKey: key},
			&lecternv1.InitializeFSMRequest{CourseId: written, IdempotencyKey: key, State: lecternv1.State_STATE_STAGE_2_INIT},
			&lecternv1.CancelGenerationRequest{CourseId: written, IdempotencyKey: key},
			&lecternv1.RestartGenerationRequest{CourseId: written, IdempotencyKey: key},
		} {
			want, got := send(t, none, request), send(t, foreign, request)
			requireReason(t, got, connect.CodeNotFound, "COURSE_NOT_FOUND", "")
			require.Equal(t, want.Error(), got.Error())
			var wanted, answered *connect.Error
			require.ErrorAs(t, want, &wanted)
			require.ErrorAs(t, got, &answered)
			require.Len(t, answered.Details(), len(wanted.Details()))
		}
	}
	require.Contains(t, server.log.String(), "it belongs to another organization", "the operator is told")
}

func TestErrorsSpeakTheSameOverEveryProtocol(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t, failing(domain.Errorf(domain.ReasonCourseNotFound, "no such course"))) {
		t.Run(name, func(t *testing.T) {
			requireReason(t, get(t.Context(), c), connect.CodeNotFound, "COURSE_NOT_FOUND", "")
		})
	}
}

func TestWhatIsNotTheCallersToKnowIsInternalAndLogged(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.0.0.7: password=hunter2")
	tests := map[string]struct {
		config connectapi.Config
		logged string
	}{
		"any other error":            {failing(secret), "hunter2"},
		"a reason nobody knows":      {failing(domain.Errorf("NEW_REASON", "hunter2")), "hunter2"},
		"a panic":                    {connectapi.Config{Courses: fakeCourses{}}, "nil pointer dereference"},
		"a stored value that is bad": {badMetadata(), "read metadata"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, tt.config)
			err := get(t.Context(), client(t, server.url))
			requireReason(t, err, connect.CodeInternal, "INTERNAL", "")
			require.EqualError(t, err, "internal: internal error")
			require.Contains(t, server.log.String(), tt.logged)
			require.Contains(t, server.log.String(), lecternv1connect.CourseServiceGetCourseProcedure)
		})
	}
}

func badMetadata() connectapi.Config {
	return connectapi.Config{Courses: fakeCourses{
		get: func(context.Context, domain.Identity, uuid.UUID) (domain.Course, []domain.Document, error) {
			return domain.Course{Metadata: []byte(`[1]`)}, nil, nil
		},
	}}
}

func TestAnOutageIsToldInOutlineAndLoggedInFull(t *testing.T) {
	t.Parallel()
	outage := &domain.Error{Reason: domain.ReasonUnavailable, Message: "the database can't be reached: try again", Err: errors.New("dial 10.0.0.7")}
	server := start(t, failing(outage))
	err := get(t.Context(), client(t, server.url))
	requireReason(t, err, connect.CodeUnavailable, "UNAVAILABLE", "")
	require.NotContains(t, err.Error(), "10.0.0.7")
	require.Contains(t, server.log.String(), "10.0.0.7")
}

func TestEndedContextsKeepTheirCodes(t *testing.T) {
	t.Parallel()
	canceled := client(t, start(t, failing(fmt.Errorf("query: %w", context.Canceled))).url)
	requireReason(t, get(t.Context(), canceled), connect.CodeCanceled, "CANCELED", "")
	late := client(t, start(t, failing(fmt.Errorf("query: %w", context.DeadlineExceeded))).url)
	requireReason(t, get(t.Context(), late), connect.CodeDeadlineExceeded, "DEADLINE_EXCEEDED", "")
}

func TestACallersDeadlineReachesTheUseCase(t *testing.T) {
	t.Parallel()
	server := start(t, connectapi.Config{Courses: fakeCourses{
		get: func(ctx context.Context, _ domain.Identity, _ uuid.UUID) (domain.Course, []domain.Document, error) {
			<-ctx.Done()
			return domain.Course{}, nil, errors.New("the query broke off")
		},
	}})
	req := connect.NewRequest(&lecternv1.GetCourseRequest{CourseId: uuid.NewString()})
	req.Header().Set("Connect-Timeout-Ms", "1") // by hand, so that the client waits for the answer
	_, err := client(t, server.url).GetCourse(t.Context(), req)
	requireReason(t, err, connect.CodeDeadlineExceeded, "DEADLINE_EXCEEDED", "")
}

// stranger refuses everybody who does not say the word.
type stranger struct{}

func (stranger) Authenticate(_ context.Context, header http.Header) (domain.Identity, error) {
	if header.Get("Authorization") != "Bearer word" {
		return domain.Identity{}, domain.Errorf(domain.ReasonUnauthenticated, "no token: log in")
	}
	return me(), nil
}

func TestOnlyTheKnownMayCall(t *testing.T) {
	t.Parallel()
	config := failing(domain.Errorf(domain.ReasonCourseNotFound, "none"))
	config.Authenticator = stranger{}
	for name, c := range clients(t, config) {
		t.Run(name, func(t *testing.T) {
			requireReason(t, get(t.Context(), c), connect.CodeUnauthenticated, "UNAUTHENTICATED", "")

			stream, err := c.WatchCourse(t.Context(), connect.NewRequest(&lecternv1.WatchCourseRequest{CourseId: uuid.NewString()}))
			require.NoError(t, err)
			require.False(t, stream.Receive())
			requireReason(t, stream.Err(), connect.CodeUnauthenticated, "UNAUTHENTICATED", "")
			require.NoError(t, stream.Close())

			req := connect.NewRequest(&lecternv1.GetCourseRequest{CourseId: uuid.NewString()})
			req.Header().Set("Authorization", "Bearer word")
			_, err = c.GetCourse(t.Context(), req)
			requireReason(t, err, connect.CodeNotFound, "COURSE_NOT_FOUND", "")
		})
	}
}

func TestARequestThatBreaksARuleNamesTheField(t *testing.T) {
	t.Parallel()
	for name, tt := range brokenRules(t, uuid.NewString()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireBroken(t, tt)
		})
	}
}

// requireBroken sends a request to a server whose use cases panic: it may not
// reach one.
func requireBroken(t *testing.T, tt brokenRule) {
	t.Helper()
	err := send(t, client(t, start(t, connectapi.Config{Courses: fakeCourses{}}).url), tt.request)
	requireReason(t, err, connect.CodeInvalidArgument, tt.reason, tt.field)
	require.ErrorContains(t, err, tt.field+": ")
}

type brokenRule struct {
	request       any
	reason, field string
}

func brokenRules(t *testing.T, id string) map[string]brokenRule {
	t.Helper()
	create := func(r *lecternv1.CreateCourseRequest, field string) brokenRule {
		if field != "title" {
			r.Title = "Bees"
		}
		return brokenRule{r, "INVALID_FIELD", field}
	}
	initialize := func(field, reason string, jobs ...*lecternv1.JobRequest) brokenRule {
		return brokenRule{&lecternv1.InitializeFSMRequest{
			CourseId: id, IdempotencyKey: key, State: lecternv1.State_STATE_STAGE_2_INIT, Jobs: jobs,
		}, reason, field}
	}
	job := &lecternv1.JobRequest{Queue: lecternv1.Queue_QUEUE_SUMMARIZATION, Data: object(t, nil)}
	many := make([]*lecternv1.JobRequest, domain.MaxJobs+1)
	for i := range many {
		many[i] = job
	}
	return map[string]brokenRule{
		"empty title":       create(&lecternv1.CreateCourseRequest{}, "title"),
		"title too long":    create(&lecternv1.CreateCourseRequest{Title: strings.Repeat("я", domain.MaxTitleRunes+1)}, "title"),
		"language":          create(&lecternv1.CreateCourseRequest{Language: "russian!"}, "language"),
		"style":             create(&lecternv1.CreateCourseRequest{Style: 99}, "style"),
		"too few lessons":   create(&lecternv1.CreateCourseRequest{Settings: &lecternv1.Settings{Lessons: domain.MinLessons - 1}}, "settings.lessons"),
		"too many lessons":  create(&lecternv1.CreateCourseRequest{Settings: &lecternv1.Settings{Lessons: domain.MaxLessons + 1}}, "settings.lessons"),
		"pipeline":          create(&lecternv1.CreateCourseRequest{Settings: &lecternv1.Settings{Pipeline: 99}}, "settings.pipeline"),
		"key":               create(&lecternv1.CreateCourseRequest{IdempotencyKey: "short"}, "idempotency_key"),
		"course id":         {&lecternv1.GetCourseRequest{CourseId: "7"}, "INVALID_FIELD", "course_id"},
		"page size":         {&lecternv1.ListCoursesRequest{PageSize: 101}, "INVALID_FIELD", "page_size"},
		"page token":        {&lecternv1.ListCoursesRequest{PageToken: "x"}, "INVALID_FIELD", "page_token"},
		"file name":         {&lecternv1.UploadDocumentRequest{CourseId: id, Content: []byte("x")}, "INVALID_FIELD", "name"},
		"empty file":        {&lecternv1.UploadDocumentRequest{CourseId: id, Name: "a.txt"}, "INVALID_FIELD", "content"},
		"no state":          {&lecternv1.InitializeFSMRequest{CourseId: id, IdempotencyKey: key}, "INVALID_FIELD", "state"},
		"queue":             initialize("jobs[0].queue", "INVALID_FIELD", &lecternv1.JobRequest{Data: object(t, nil)}),
		"no job data":       initialize("jobs[1].data", "INVALID_FIELD", job, &lecternv1.JobRequest{Queue: job.GetQueue()}),
		"job attempts":      initialize("jobs[0].options.max_attempts", "INVALID_FIELD", &lecternv1.JobRequest{Queue: job.GetQueue(), Data: job.GetData(), Options: &lecternv1.JobOptions{MaxAttempts: -1}}),
		"too many jobs":     initialize("jobs", "TOO_MANY_JOBS", many...),
		"NUL in job data":   initialize("jobs[0].data", "INVALID_FIELD", &lecternv1.JobRequest{Queue: job.GetQueue(), Data: object(t, map[string]any{"a": "\x00"})}),
		"watch from before": {&lecternv1.WatchCourseRequest{CourseId: id, AfterEventNo: -1}, "INVALID_FIELD", "after_event_no"},
		"long reason":       {&lecternv1.CancelGenerationRequest{CourseId: id, IdempotencyKey: key, Reason: strings.Repeat("r", 1001)}, "INVALID_FIELD", "reason"},
		"restart what":      {&lecternv1.RestartGenerationRequest{IdempotencyKey: key}, "INVALID_FIELD", "course_id"},
		"initiate what":     {&lecternv1.InitiateGenerationRequest{IdempotencyKey: key}, "INVALID_FIELD", "course_id"},
	}
}

// send makes the call that takes the request.
func send(t *testing.T, c lecternv1connect.CourseServiceClient, request any) error {
	t.Helper()
	var err error
	switch r := request.(type) {
	case *lecternv1.CreateCourseRequest:
		_, err = c.CreateCourse(t.Context(), connect.NewRequest(r))
	case *lecternv1.GetCourseRequest:
		_, err = c.GetCourse(t.Context(), connect.NewRequest(r))
	case *lecternv1.ListCoursesRequest:
		_, err = c.ListCourses(t.Context(), connect.NewRequest(r))
	case *lecternv1.UploadDocumentRequest:
		_, err = c.UploadDocument(t.Context(), connect.NewRequest(r))
	case *lecternv1.InitializeFSMRequest:
		_, err = c.InitializeFSM(t.Context(), connect.NewRequest(r))
	case *lecternv1.InitiateGenerationRequest:
		_, err = c.InitiateGeneration(t.Context(), connect.NewRequest(r))
	case *lecternv1.CancelGenerationRequest:
		_, err = c.CancelGeneration(t.Context(), connect.NewRequest(r))
	case *lecternv1.RestartGenerationRequest:
		_, err = c.RestartGeneration(t.Context(), connect.NewRequest(r))
	case *lecternv1.WatchCourseRequest:
		stream, callErr := c.WatchCourse(t.Context(), connect.NewRequest(r))
		require.NoError(t, callErr)
		require.False(t, stream.Receive())
		err = stream.Err()
		require.NoError(t, stream.Close())
	default:
		t.Fatalf("no call takes %T", r)
	}
	return err
}

func TestAllBrokenRulesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t, connectapi.Config{Courses: fakeCourses{}}) {
		t.Run(name, func(t *testing.T) {
			_, err := c.CreateCourse(t.Context(), connect.NewRequest(&lecternv1.CreateCourseRequest{Language: "?", IdempotencyKey: "short"}))
			requireReason(t, err, connect.CodeInvalidArgument, "INVALID_FIELD", "title")
			violations := detail[validate.Violations](t, err)
			require.NotNil(t, violations)
			require.Len(t, violations.GetViolations(), 3)
			require.ErrorContains(t, err, "title: must not be empty: say what the course is about")
			require.ErrorContains(t, err, "language: must be a language tag")
			require.ErrorContains(t, err, "idempotency_key: ")
		})
	}
}
