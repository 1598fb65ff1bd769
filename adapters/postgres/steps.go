package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Steps = (*Steps)(nil)

// Steps implements ports.Steps as the role lectern_worker, for one consumer
// group: the inbox is kept by group.
type Steps struct {
	pool  *pgxpool.Pool
	group string
}

// NewSteps makes the worker's store on a pool of lectern_worker.
func NewSteps(pool *pgxpool.Pool, group string) *Steps { return &Steps{pool, group} }

// Course implements ports.Steps.
func (s *Steps) Course(ctx context.Context, id uuid.UUID) (domain.Course, error) {
	rows, err := s.pool.Query(ctx, selectCourse+`where id = $1`, id)
	if err != nil {
		return domain.Course{}, fmt.Errorf("read course of job: %w", asDomain(err))
	}
	course, err := pgx.CollectExactlyOneRow(rows, scanCourse)
	if errors.Is(err, pgx.ErrNoRows) {
		return domain.Course{}, domain.Errorf(domain.ReasonCourseNotFound, "there is no course %s", id)
	}
	if err != nil {
		return domain.Course{}, fmt.Errorf("read course of job: %w", asDomain(err))
	}
	return course, nil
}

// Begin implements ports.Steps.
func (s *Steps) Begin(ctx context.Context, job domain.Delivery) (domain.Verdict, domain.Course, error) {
	return s.begin(ctx, `select lectern.begin_fit_job($1, $2, $3, $4, $5)`, job)
}

// BeginOrSkip implements ports.Steps.
func (s *Steps) BeginOrSkip(ctx context.Context, job domain.Delivery) (domain.Verdict, domain.Course, error) {
	return s.begin(ctx, `select lectern.begin_job($1, $2, $3, $4, $5)`, job)
}

func (s *Steps) begin(ctx context.Context, query string, job domain.Delivery) (domain.Verdict, domain.Course, error) {
	var verdict domain.Verdict
	err := s.pool.QueryRow(ctx, query, job.OutboxID, s.group, job.CourseID, job.Run, string(job.Queue.WorkingState())).Scan(&verdict)
	if err != nil {
		return "", domain.Course{}, fmt.Errorf("begin job: %w", asDomain(err))
	}
	if verdict != domain.VerdictWork && verdict != domain.VerdictUnfit {
		return verdict, domain.Course{}, nil
	}
	course, err := s.Course(ctx, job.CourseID)
	if domain.ReasonOf(err) == domain.ReasonCourseNotFound { // it went in between
		return domain.VerdictSkipped, domain.Course{}, nil
	}
	if err != nil {
		return "", domain.Course{}, err
	}
	return verdict, course, nil
}

// stepRow is a step as advance_course takes it.
type stepRow struct {
	Queue      domain.Queue            `json:"queue"`
	Working    domain.State            `json:"working"`
	Attempt    int                     `json:"attempt"`
	DocumentID *uuid.UUID              `json:"document_id,omitempty"`
	Documents  []domain.DocumentResult `json:"documents,omitempty"`
	Analysis   *domain.Analysis        `json:"analysis,omitempty"`
	Structure  *domain.Structure       `json:"structure,omitempty"`
	Metadata   map[string]any          `json:"metadata,omitempty"`
	Retry      *retryRow               `json:"retry,omitempty"`
	Fail       string                  `json:"fail,omitempty"`
	OnLast     onwardRow               `json:"on_last"`
}

type retryRow struct {
	Job    jobRow `json:"job"`
	Reason string `json:"reason"`
}

type onwardRow struct {
	States []domain.State `json:"states"`
	Jobs   []jobRow       `json:"jobs"`
}

// Advance implements ports.Steps.
func (s *Steps) Advance(ctx context.Context, step domain.Step) (domain.Verdict, error) {
	row := stepRow{
		Queue: step.Job.Queue, Working: step.Job.Queue.WorkingState(), Attempt: step.Job.Attempt, DocumentID: step.Job.Data.DocumentID,
		Documents: plainErrors(step.Documents), Analysis: step.Analysis, Structure: step.Structure, Metadata: step.Metadata,
		Fail:   domain.ErrorText(step.Fail),
		OnLast: onwardRow{append([]domain.State{}, step.OnLast.States...), jobRows(step.OnLast.Jobs)},
	}
	if r := step.Retry; r != nil {
		job := r.Job
		job.Options.NotBefore = &r.NotBefore
		row.Retry = &retryRow{jobRows([]domain.Job{job})[0], domain.ErrorText(r.Reason)}
	}
	var verdict domain.Verdict
	err := s.pool.QueryRow(ctx, `select lectern.advance_course($1, $2, $3, $4, $5)`,
		step.Job.OutboxID, s.group, step.Job.CourseID, step.Job.Run, row).Scan(&verdict)
	if err != nil {
		return "", fmt.Errorf("advance course: %w", asDomain(err))
	}
	return verdict, nil
}

func plainErrors(results []domain.DocumentResult) []domain.DocumentResult {
	results = slices.Clone(results)
	for i := range results {
		results[i].Error = domain.ErrorText(results[i].Error)
	}
	return results
}

// SourceDocument implements ports.Steps.
func (s *Steps) SourceDocument(ctx context.Context, courseID, documentID uuid.UUID) (domain.Document, error) {
	docs, err := s.sources(ctx, `where entity_id = $1 and document_id = $2`, courseID, documentID)
	if err == nil && len(docs) == 0 {
		err = domain.Errorf(domain.ReasonDocumentNotFound, "the course has no document %s", documentID)
	}
	if err != nil {
		return domain.Document{}, err
	}
	return docs[0], nil
}

// SourceDocuments implements ports.Steps.
func (s *Steps) SourceDocuments(ctx context.Context, courseID uuid.UUID) ([]domain.Document, error) {
	return s.sources(ctx, `where entity_id = $1 order by position`, courseID)
}

func (s *Steps) sources(ctx context.Context, where string, args ...any) ([]domain.Document, error) {
	rows, err := s.pool.Query(ctx, selectDocument+`, content, summary from lectern.documents `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read source documents: %w", asDomain(err))
	}
	docs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (domain.Document, error) {
		var d domain.Document
		return d, row.Scan(append(documentFields(&d), &d.Text, &d.Summary)...)
	})
	if err != nil {
		return nil, fmt.Errorf("read source documents: %w", asDomain(err))
	}
	return docs, nil
}
