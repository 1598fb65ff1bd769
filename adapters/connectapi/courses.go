package connectapi

import (
	"context"
	"fmt"
	"math"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/app"
	"lectern/domain"
)

// defaultPageSize is how many courses a page has unless the caller says.
const defaultPageSize = 20

// courseService serves CourseService. Its requests have passed validation.
type courseService struct {
	courses Courses
	serving serving
}

var _ lecternv1connect.CourseServiceHandler = courseService{}

// CreateCourse implements lecternv1connect.CourseServiceHandler.
func (s courseService) CreateCourse(
	ctx context.Context, req *connect.Request[lecternv1.CreateCourseRequest],
) (*connect.Response[lecternv1.CreateCourseResponse], error) {
	key, err := optionalKey(req.Header(), req.Msg.GetIdempotencyKey())
	if err != nil {
		return nil, err
	}
	c, err := s.courses.Create(ctx, caller(ctx), app.CreateRequest{
		Title:    req.Msg.GetTitle(),
		Language: req.Msg.GetLanguage(),
		Style:    StyleFromProto(req.Msg.GetStyle()),
		Settings: domain.Settings{
			Lessons:  int(req.Msg.GetSettings().GetLessons()),
			Pipeline: PipelineFromProto(req.Msg.GetSettings().GetPipeline()),
		},
		Key: key,
	})
	if err != nil {
		return nil, fmt.Errorf("create course: %w", err)
	}
	course, err := courseToProto(c)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&lecternv1.CreateCourseResponse{Course: course}), nil
}

// GetCourse implements lecternv1connect.CourseServiceHandler.
func (s courseService) GetCourse(
	ctx context.Context, req *connect.Request[lecternv1.GetCourseRequest],
) (*connect.Response[lecternv1.GetCourseResponse], error) {
	id, err := parseID("course_id", req.Msg.GetCourseId())
	if err != nil {
		return nil, err
	}
	c, documents, err := s.courses.Get(ctx, caller(ctx), id)
	if err != nil {
		return nil, fmt.Errorf("get course: %w", err)
	}
	course, err := courseToProto(c)
	if err != nil {
		return nil, err
	}
	progress, err := s.progress(ctx, id, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&lecternv1.GetCourseResponse{
		Course: course, Documents: each(documents, documentToProto), Progress: progressToProto(progress),
	}), nil
}

// ListCourses implements lecternv1connect.CourseServiceHandler.
func (s courseService) ListCourses(
	ctx context.Context, req *connect.Request[lecternv1.ListCoursesRequest],
) (*connect.Response[lecternv1.ListCoursesResponse], error) {
	var before uuid.UUID
	if token := req.Msg.GetPageToken(); token != "" {
		id, err := parseID("page_token", token)
		if err != nil {
			return nil, err
		}
		before = id
	}
	size := int(req.Msg.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	// One more than asked for tells whether there is a next page.
	courses, err := s.courses.List(ctx, caller(ctx), before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list courses: %w", err)
	}
	page := &lecternv1.ListCoursesResponse{}
	if len(courses) > size {
		courses = courses[:size]
		page.NextPageToken = courses[size-1].ID.String()
	}
	for _, c := range courses {
		course, err := courseToProto(c)
		if err != nil {
			return nil, err
		}
		page.Courses = append(page.Courses, course)
	}
	return connect.NewResponse(page), nil
}

// UploadDocument implements lecternv1connect.CourseServiceHandler.
func (s courseService) UploadDocument(
	ctx context.Context, req *connect.Request[lecternv1.UploadDocumentRequest],
) (*connect.Response[lecternv1.UploadDocumentResponse], error) {
	id, err := parseID("course_id", req.Msg.GetCourseId())
	if err != nil {
		return nil, err
	}
	d, err := s.courses.UploadDocument(ctx, caller(ctx), id, req.Msg.GetName(), req.Msg.GetContent())
	if err != nil {
		return nil, fmt.Errorf("upload document: %w", err)
	}
	return connect.NewResponse(&lecternv1.UploadDocumentResponse{Document: documentToProto(d)}), nil
}

// parseID reads the UUID of a field.
func parseID(field, s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, domain.Invalid(field, "must be a UUID")
	}
	return id, nil
}

// jobRequests turns the jobs of a command into those of the use case.
func jobRequests(jobs []*lecternv1.JobRequest) ([]app.JobRequest, error) {
	requests := make([]app.JobRequest, len(jobs))
	for i, j := range jobs {
		at := fmt.Sprintf("jobs[%d]", i)
		data, err := jsonFromStruct(at+".data", j.GetData())
		if err != nil {
			return nil, err
		}
		options, err := jobOptions(at+".options", j.GetOptions())
		if err != nil {
			return nil, err
		}
		requests[i] = app.JobRequest{Queue: QueueFromProto(j.GetQueue()), Data: data, Options: options}
	}
	return requests, nil
}

func jobOptions(field string, o *lecternv1.JobOptions) (domain.JobOptions, error) {
	options := domain.JobOptions{MaxAttempts: int(o.GetMaxAttempts()), Priority: int(o.GetPriority())}
	if t := o.GetNotBefore(); t != nil {
		if err := t.CheckValid(); err != nil {
			return domain.JobOptions{}, domain.Invalid(field+".not_before", "must be a time in the years 1970 to 9999")
		}
		notBefore := t.AsTime()
		options.NotBefore = &notBefore
	}
	return options, nil
}
