package app

import (
	"context"

	"github.com/google/uuid"

	"lectern/domain"
	"lectern/ports"
)

// OperatorService holds what an operator does with the outbox of one
// organization.
type OperatorService struct {
	operator ports.Operator
	signals  Signals
}

// NewOperatorService makes the use cases of operators.
func NewOperatorService(operator ports.Operator, signals Signals) *OperatorService {
	return &OperatorService{operator, signals}
}

// List returns up to limit entries, newest first, that come after the entry before.
func (s *OperatorService) List(
	ctx context.Context, caller domain.Identity, f domain.EntryFilter, before uuid.UUID, limit int,
) ([]domain.OutboxEntry, error) {
	return s.operator.List(ctx, caller, f, before, limit)
}

// Get returns an entry with its data.
func (s *OperatorService) Get(ctx context.Context, caller domain.Identity, id uuid.UUID) (domain.OutboxEntry, error) {
	return s.operator.Get(ctx, caller, id)
}

// Count counts what is pending or dead.
func (s *OperatorService) Count(ctx context.Context, caller domain.Identity) ([]domain.EntryCount, error) {
	return s.operator.Count(ctx, caller)
}

// Redrive tries dead entries again, and wakes the relay for them.
func (s *OperatorService) Redrive(ctx context.Context, caller domain.Identity, c DeadChoice) ([]domain.EntryVerdict, error) {
	return s.decide(ctx, caller, c, func(ids []uuid.UUID) ([]domain.EntryVerdict, error) {
		return s.operator.Redrive(ctx, caller, ids, c.DryRun)
	})
}

// Discard gives dead entries up, and wakes the relay for what they held.
func (s *OperatorService) Discard(
	ctx context.Context, caller domain.Identity, c DeadChoice, reason string,
) ([]domain.EntryVerdict, error) {
	return s.decide(ctx, caller, c, func(ids []uuid.UUID) ([]domain.EntryVerdict, error) {
		return s.operator.Discard(ctx, caller, ids, reason, c.DryRun)
	})
}

// decide finds the entries and acts on them. What changes in between is no
// matter: the act looks at each entry again, under its course's lock.
func (s *OperatorService) decide(
	ctx context.Context, caller domain.Identity, c DeadChoice, act func([]uuid.UUID) ([]domain.EntryVerdict, error),
) ([]domain.EntryVerdict, error) {
	ids := c.IDs
	if len(ids) == 0 {
		c.Filter.States = []domain.EntryState{domain.EntryDead}
		dead, err := s.operator.List(ctx, caller, c.Filter, uuid.Nil, MaxDeadChoice)
		if err != nil {
			return nil, err
		}
		for _, e := range dead {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	verdicts, err := act(ids)
	if err == nil && !c.DryRun {
		courses := make([]uuid.UUID, len(verdicts))
		for i, v := range verdicts {
			courses[i] = v.CourseID
		}
		s.signals.committed(courses...)
	}
	return verdicts, err
}
