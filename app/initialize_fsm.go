package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"lectern/domain"
)

// InitializeFSM runs the command: the course's new state, its event, its jobs
// and the key commit together, once.
func (s *CourseService) InitializeFSM(
	ctx context.Context, caller domain.Identity, r InitializeRequest,
) (domain.InitializeFSMResult, error) {
	jobs, err := s.newJobs(r.Jobs)
	if err != nil {
		return domain.InitializeFSMResult{}, err
	}
	return s.initialize(ctx, "InitializeFSM", domain.InitializeFSMCommand{
		CourseID: r.CourseID, Caller: caller, Key: domain.IdempotencyKey(r.Key), State: r.State, Jobs: jobs, Metadata: r.Metadata,
	})
}

// InitiateGeneration starts a pending course: with documents at stage 2, one
// job a document; without at stage 4, from the title alone.
func (s *CourseService) InitiateGeneration(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, key string,
) (domain.InitializeFSMResult, error) {
	docs, err := s.Courses.Documents(ctx, caller, courseID)
	if err != nil {
		return domain.InitializeFSMResult{}, err
	}
	state, queue, work := domain.StateStage2Init, domain.QueueDocumentProcessing, make([]domain.JobData, len(docs))
	for i, d := range docs {
		work[i] = domain.JobData{CourseID: courseID, DocumentID: &d.ID}
	}
	if len(docs) == 0 {
		state, queue, work = domain.StateStage4Init, domain.QueueStructureAnalysis, []domain.JobData{{CourseID: courseID}}
	}
	jobs, err := pipelineJobs(s.NewID, queue, work...)
	if err != nil {
		return domain.InitializeFSMResult{}, err
	}
	return s.initialize(ctx, "InitiateGeneration", domain.InitializeFSMCommand{
		CourseID: courseID, Caller: caller, Key: domain.IdempotencyKey(key), State: state, Jobs: jobs,
	})
}

func (s *CourseService) initialize(
	ctx context.Context, procedure string, c domain.InitializeFSMCommand,
) (domain.InitializeFSMResult, error) {
	c.InitiatedBy = domain.ActorAPI
	c, err := domain.NewInitializeFSMCommand(procedure, c)
	if err != nil {
		return domain.InitializeFSMResult{}, err
	}
	result, err := s.Commands.InitializeFSM(ctx, c)
	if err == nil {
		s.Signals.committed(c.CourseID)
	}
	return result, err
}

func (s *CourseService) newJobs(requests []JobRequest) ([]domain.Job, error) {
	if len(requests) > domain.MaxJobs {
		return nil, &domain.Error{Reason: domain.ReasonTooManyJobs, Field: "jobs", Message: "a command has at most 1,000 jobs"}
	}
	jobs := make([]domain.Job, len(requests))
	for i, r := range requests {
		id, err := s.NewID()
		if err != nil {
			return nil, err
		}
		if jobs[i], err = domain.NewJob(id, r.Queue, r.Data, r.Options); err != nil {
			return nil, domain.Within(fmt.Sprintf("jobs[%d]", i), err)
		}
	}
	return jobs, nil
}

// pipelineJobs makes the pipeline's own jobs for a queue.
func pipelineJobs(newID func() (uuid.UUID, error), queue domain.Queue, work ...domain.JobData) ([]domain.Job, error) {
	jobs := make([]domain.Job, len(work))
	for i, w := range work {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(w)
		if err != nil {
			return nil, fmt.Errorf("encode job: %w", err)
		}
		if jobs[i], err = domain.NewJob(id, queue, data, domain.JobOptions{}); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}
