package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
	"lectern/ports"
)

// CourseDeps are what the use cases of courses need.
type CourseDeps struct {
	Courses   ports.Courses
	Commands  ports.Commands
	Blobs     ports.Blobs
	Extractor ports.Extractor
	Signals   Signals
	NewID     func() (uuid.UUID, error) // UUIDv7
	Log       *slog.Logger

	MaxDocumentBytes int64           // of an uploaded document
	Pipeline         domain.Pipeline // for courses that name none
	WatchPoll        time.Duration   // how often a watcher looks for other processes' events by itself
	Hears            func() bool     // whether they wake it besides, so that it may look less often
}

// CourseService holds the use cases that a caller asks for, one file each.
// Every method takes the caller's identity and reaches no other organization.
type CourseService struct{ CourseDeps }

// NewCourseService makes the use cases.
func NewCourseService(deps CourseDeps) *CourseService { return &CourseService{deps} }

// Create makes a pending course.
func (s *CourseService) Create(ctx context.Context, caller domain.Identity, r CreateRequest) (domain.Course, error) {
	id, err := s.NewID()
	if err != nil {
		return domain.Course{}, err
	}
	if r.Settings.Pipeline == "" {
		r.Settings.Pipeline = s.Pipeline
	}
	course, err := domain.NewCourse(id, caller, r.Title, r.Language, r.Style, r.Settings)
	if err != nil {
		return domain.Course{}, err
	}
	if r.Key == "" {
		return s.Courses.Create(ctx, course, "", "")
	}
	key, err := domain.NewIdempotencyKey(r.Key)
	if err != nil {
		return domain.Course{}, err
	}
	fp, err := domain.FingerprintOf("CreateCourse", course.Title, course.Language, course.Style, course.Settings)
	if err != nil {
		return domain.Course{}, err
	}
	return s.Courses.Create(ctx, course, key, fp)
}

// Get returns a course and its documents, without their text.
func (s *CourseService) Get(ctx context.Context, caller domain.Identity, id uuid.UUID) (domain.Course, []domain.Document, error) {
	course, err := s.Courses.Get(ctx, caller, id)
	if err != nil {
		return domain.Course{}, nil, err
	}
	docs, err := s.Courses.Documents(ctx, caller, id)
	return course, docs, err
}

// List returns up to limit courses, newest first, that are older than before.
func (s *CourseService) List(ctx context.Context, caller domain.Identity, before uuid.UUID, limit int) ([]domain.Course, error) {
	return s.Courses.List(ctx, caller, before, limit)
}

// Entries returns a course's outbox entries in commit order.
func (s *CourseService) Entries(ctx context.Context, caller domain.Identity, courseID uuid.UUID) ([]domain.OutboxEntry, error) {
	return s.Courses.Entries(ctx, caller, courseID)
}

// Events returns up to limit events of a course with No > after, in order.
func (s *CourseService) Events(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, after int64, limit int,
) ([]domain.Event, error) {
	return s.Courses.Events(ctx, caller, courseID, after, limit)
}
