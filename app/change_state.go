package app

import (
	"context"

	"github.com/google/uuid"

	"lectern/domain"
)

// Cancel ends a running course. Jobs of it that are still on their way do
// nothing when they arrive.
func (s *CourseService) Cancel(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, key, reason string,
) (domain.FSMState, error) {
	return s.changeState(ctx, "CancelGeneration", domain.ChangeStateCommand{
		CourseID: courseID, Caller: caller, State: domain.StateCancelled, Reason: reason,
	}, key)
}

// Restart sends a course that has ended back to pending, which begins its next
// run; what the old run left behind is stale.
func (s *CourseService) Restart(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, key string,
) (domain.FSMState, error) {
	return s.changeState(ctx, "RestartGeneration", domain.ChangeStateCommand{
		CourseID: courseID, Caller: caller, State: domain.StatePending,
	}, key)
}

func (s *CourseService) changeState(
	ctx context.Context, procedure string, c domain.ChangeStateCommand, key string,
) (domain.FSMState, error) {
	c.Key, c.InitiatedBy = domain.IdempotencyKey(key), domain.ActorAPI
	c, err := domain.NewChangeStateCommand(procedure, c)
	if err != nil {
		return domain.FSMState{}, err
	}
	state, err := s.Commands.ChangeState(ctx, c)
	if err == nil {
		s.Signals.Happened(c.CourseID)
	}
	return state, err
}
