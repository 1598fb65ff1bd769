package app

import (
	"context"
	"log/slog"
	"time"

	"lectern/ports"
)

const (
	stallLooks = 6   // looks for stalled courses within the time after which they are
	stallBatch = 100 // courses failed in one transaction
)

// StallDeps are what the watch for stalled courses needs.
type StallDeps struct {
	Store   ports.Stalls
	Broker  ports.Broker
	Old     []OldBroker // which may hold jobs as well
	Signals Signals
	After   time.Duration  // without anything happening to a course
	Random  func() float64 // in [0, 1)
	Now     func() time.Time
	Log     *slog.Logger
}

// StallWatch fails courses that will not go on by themselves: the broker has
// lost their job, or made a dead letter of it. Any number may run: the store
// lets one at a time look.
type StallWatch struct{ StallDeps }

// NewStallWatch makes a watch; Run starts it.
func NewStallWatch(deps StallDeps) *StallWatch { return &StallWatch{deps} }

// Run looks again and again until ctx ends. Nothing is failed before all has
// been well for as long as a course may stand still: what waited while broker,
// database or this process were down is not stalled, and gets its time. It
// returns nil: what goes wrong is logged, and tried at the next look.
func (s *StallWatch) Run(ctx context.Context) error {
	every := s.After / stallLooks
	for well, looked := s.Now(), s.Now(); ; looked = s.Now() {
		// Between half and all of it, so that replicas don't look in step.
		if !wait(ctx, time.Duration(float64(every)*(0.5+s.Random()/2)), nil) {
			return nil
		}
		// By the wall clock, which goes on while a machine sleeps.
		if s.Now().Round(0).Sub(looked.Round(0)) > 2*every {
			well = s.Now() // we were frozen, and maybe with a job in hand
		}
		if err := s.look(ctx, s.Now().Sub(well) >= s.After); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "can't look for stalled courses, and look again later", "error", err)
			well = s.Now()
		}
	}
}

// look fails what is stalled, unless it is to see only whether it could.
func (s *StallWatch) look(ctx context.Context, fail bool) error {
	if err := s.Broker.Ping(ctx); err != nil {
		return err
	}
	for _, old := range s.Old {
		if err := old.Ping(ctx); err != nil {
			return err
		}
	}
	for fail && ctx.Err() == nil {
		failed, err := s.Store.FailStalled(ctx, s.After, stallBatch)
		if err != nil {
			return err
		}
		for _, course := range failed {
			s.Log.ErrorContext(ctx, "course failed: it stood still", "course", course, "after", s.After)
		}
		s.Signals.Happened(failed...)
		fail = len(failed) == stallBatch
	}
	return nil
}
