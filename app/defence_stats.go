package app

import (
	"sync/atomic"

	"lectern/domain"
)

// Layer names a line of defence behind the API's command, which is the first.
type Layer string

// The layers.
const (
	Layer2 Layer = "layer2" // the backup listener, as a job arrives on the broker
	Layer3 Layer = "layer3" // the worker, before it works
)

// DefenceOutcome says what came of a layer's check of a job that its course did
// not expect. A job that finds its course in order is not counted.
type DefenceOutcome string

// The outcomes.
const (
	DefenceInitialized DefenceOutcome = "initialized" // the course is where the job needs it
	DefenceSkipped     DefenceOutcome = "skipped"     // redelivered, course gone, or no legal way there
	DefenceFailed      DefenceOutcome = "failed"      // the check could not be made
)

// DefenceCount names one counter.
type DefenceCount struct {
	Layer   Layer
	Queue   domain.Queue
	Outcome DefenceOutcome
}

// DefenceStats counts what layers 2 and 3 did since the process began.
type DefenceStats struct {
	counts map[DefenceCount]*atomic.Int64 // complete from the start, so never written to
}

// NewDefenceStats makes counters of every layer, queue and outcome, all zero.
func NewDefenceStats() *DefenceStats {
	counts := map[DefenceCount]*atomic.Int64{}
	for _, layer := range []Layer{Layer2, Layer3} {
		for _, queue := range domain.Queues() {
			for _, outcome := range []DefenceOutcome{DefenceInitialized, DefenceSkipped, DefenceFailed} {
				counts[DefenceCount{layer, queue, outcome}] = new(atomic.Int64)
			}
		}
	}
	return &DefenceStats{counts}
}

// Snapshot returns every counter, those at zero too.
func (s *DefenceStats) Snapshot() map[DefenceCount]int64 {
	snapshot := make(map[DefenceCount]int64, len(s.counts))
	for count, n := range s.counts {
		snapshot[count] = n.Load()
	}
	return snapshot
}

func (s *DefenceStats) add(layer Layer, queue domain.Queue, outcome DefenceOutcome) {
	s.counts[DefenceCount{layer, queue, outcome}].Add(1)
}
