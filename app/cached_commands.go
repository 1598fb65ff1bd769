package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Commands = (*CachedCommands)(nil)

// CachedCommands answers a repeated InitializeFSM from a cache, where that can,
// and leaves everything else to the commands behind it. An answer is kept no
// longer than its key is, so both give the same one.
//
// ChangeState is not cached: callers rarely repeat it.
type CachedCommands struct {
	ports.Commands
	cache ports.Cache
	now   func() time.Time
	log   *slog.Logger
}

// NewCachedCommands puts a cache before commands. now must be monotonic, as
// time.Now is.
func NewCachedCommands(commands ports.Commands, cache ports.Cache, now func() time.Time, log *slog.Logger) *CachedCommands {
	return &CachedCommands{commands, cache, now, log}
}

// InitializeFSM implements ports.Commands.
func (s *CachedCommands) InitializeFSM(ctx context.Context, c domain.InitializeFSMCommand) (domain.InitializeFSMResult, error) {
	if answer, hit := s.cache.Get(ctx, c.Caller.OrganizationID, c.Key); hit {
		if answer.Fingerprint != c.Fingerprint {
			return domain.InitializeFSMResult{}, domain.Errorf(domain.ReasonIdempotencyReuse, "this idempotency key was used for another request")
		}
		result, err := replay(c, answer)
		if err == nil {
			return result, nil
		}
		s.log.WarnContext(ctx, "ignore a cached answer; the database answers", "course_id", c.CourseID, "error", err)
	}
	// The key's time runs from some moment after this one.
	began := s.now()
	result, err := s.Commands.InitializeFSM(ctx, c)
	if err == nil {
		s.keep(ctx, c, result, result.KeptFor-s.now().Sub(began))
	}
	return result, err
}

// replay returns a stored answer, if it is one to this command.
func replay(c domain.InitializeFSMCommand, answer domain.CachedAnswer) (domain.InitializeFSMResult, error) {
	var r domain.InitializeFSMResult
	if err := json.Unmarshal(answer.Result, &r); err != nil {
		return domain.InitializeFSMResult{}, fmt.Errorf("decode answer: %w", err)
	}
	if err := answers(c, r); err != nil {
		return domain.InitializeFSMResult{}, err
	}
	r.FromCache = true
	return r, nil
}

// answers tells whether a result can be that of a command.
func answers(c domain.InitializeFSMCommand, r domain.InitializeFSMResult) error {
	switch {
	case r.FSMState.CourseID != c.CourseID:
		return fmt.Errorf("it is of the course %s", r.FSMState.CourseID)
	case r.FSMState.State != c.State:
		return fmt.Errorf("its state is %s, not %s", r.FSMState.State, c.State)
	case len(r.OutboxEntries) != len(c.Jobs):
		return fmt.Errorf("it has %d entries for %d jobs", len(r.OutboxEntries), len(c.Jobs))
	}
	for i, e := range r.OutboxEntries {
		if e.Queue != c.Jobs[i].Queue {
			return fmt.Errorf("its entry %d is of the queue %s", i, e.Queue)
		}
	}
	return r.Validate()
}

// keep stores an answer, which is committed: that the caller has left since
// does not matter.
func (s *CachedCommands) keep(ctx context.Context, c domain.InitializeFSMCommand, r domain.InitializeFSMResult, ttl time.Duration) {
	if ttl <= 0 {
		return
	}
	answer, err := encode(c, r)
	if err != nil {
		s.log.WarnContext(ctx, "cannot cache an answer", "course_id", c.CourseID, "error", err)
		return
	}
	s.cache.Set(context.WithoutCancel(ctx), c.Caller.OrganizationID, c.Key, answer, ttl)
}

func encode(c domain.InitializeFSMCommand, r domain.InitializeFSMResult) (domain.CachedAnswer, error) {
	encoded, err := json.Marshal(r)
	if err != nil {
		return domain.CachedAnswer{}, fmt.Errorf("encode answer: %w", err)
	}
	return domain.NewCachedAnswer(c.Fingerprint, encoded)
}
