// Package compare measures one way to do a thing against another, in rounds
// that take turns, so that whatever else the machine does meets both. It knows
// nothing of what it measures.
package compare

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
)

// Bench compares ours with a peer's way to do the same.
type Bench struct {
	Name    string // what ours does
	Against string // what the peer does
	Goal    Goal   // for the ratio, ours to the peer's
	Measure Measure
	Ops     int // operations of one side in one turn
	// Turns is how many a round has, with no warm-up before them, for operations
	// that take long and settle by themselves; 0 stands for ten after two warm-ups.
	Turns int
	Ours  Side
	Peer  Side
}

// Trial finds results. A Bench is one; a Series finds several in a way of its own.
type Trial interface {
	Title() string
	Try(ctx context.Context, r Runner) ([]Result, error)
}

// Title implements Trial.
func (b Bench) Title() string { return b.Name }

// Try implements Trial.
func (b Bench) Try(ctx context.Context, r Runner) ([]Result, error) {
	result, err := r.Run(ctx, b)
	return []Result{result}, err
}

// Series is a Trial whose turns are not those of two sides.
type Series struct {
	Name string
	Run  func(ctx context.Context, r Runner) ([]Result, error)
}

// Title implements Trial.
func (s Series) Title() string { return s.Name }

// Try implements Trial.
func (s Series) Try(ctx context.Context, r Runner) ([]Result, error) { return s.Run(ctx, r) }

// Side prepares ops fresh operations. What it does is not measured.
type Side func(ctx context.Context, ops int) (Op, error)

// Op is the i-th operation of those prepared. It is called once for each i,
// and by several clients at once when the measure has several.
type Op func(ctx context.Context, i int) error

// turns is how often each side is measured in a round.
const turns = 10

// Runner runs benches.
type Runner struct {
	// Rounds is how often both sides are prepared and then measured, in ten
	// turns each; a bench with turns of its own has one round. At least 1.
	Rounds int
	// Settle is called before each warm-up, to leave nothing of what was before
	// for the measured part to pay.
	Settle func(context.Context) error
	Log    *slog.Logger
}

// Result is what a bench found: medians over all turns of all rounds.
type Result struct {
	Name    string
	Unit    string
	Ours    float64
	Against string
	Peer    float64
	Ratio   float64 // the median of the turns' ratios, not the medians' ratio
	// Low and High are the quarters of the turns' ratios: half lie between them.
	Low, High float64
	Goal      Goal
}

// Run measures both sides in every round, turn by turn, ours first.
func (r Runner) Run(ctx context.Context, b Bench) (Result, error) {
	var all samples
	rounds := r.Rounds
	if b.Turns > 0 {
		rounds = 1
	}
	for round := range rounds {
		got, err := r.round(ctx, b)
		if err != nil {
			return Result{}, fmt.Errorf("measure %s: %w", b.Name, err)
		}
		all = append(all, got...)
		o, p, ratio := got.medians()
		r.Log.Info("round", "of", b.Name, "no", round+1, "unit", b.Measure.Unit, "ours", o, "peer", p, "ratio", ratio)
	}
	return all.result(Result{Name: b.Name, Unit: b.Measure.Unit, Against: b.Against, Goal: b.Goal}), nil
}

// warmUps are turns before those that count. The first leaves rows in every
// table, so that no plan is one for an empty table; then comes the ANALYZE,
// after which, in the second, every session plans its statements anew.
const warmUps = 2

// round measures one side after the other, turn by turn.
func (r Runner) round(ctx context.Context, b Bench) (samples, error) {
	warmUps, turns := warmUps, turns
	if b.Turns > 0 {
		warmUps, turns = 0, b.Turns
	}
	ours, err := b.Ours(ctx, (warmUps+turns)*b.Ops)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	peer, err := b.Peer(ctx, (warmUps+turns)*b.Ops)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", b.Against, err)
	}
	got := make(samples, warmUps+turns)
	for turn := range got {
		if turn < warmUps {
			if err := r.Settle(ctx); err != nil {
				return nil, fmt.Errorf("settle: %w", err)
			}
		}
		first := turn * b.Ops
		if got[turn].ours, err = b.Measure.Run(ctx, first, first+b.Ops, ours); err != nil {
			return nil, err
		}
		if got[turn].peer, err = b.Measure.Run(ctx, first, first+b.Ops, peer); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Against, err)
		}
	}
	return got[warmUps:], nil
}

// sample is one turn of each side.
type sample struct{ ours, peer float64 }

func (s sample) ratio() float64 { return s.ours / s.peer }

type samples []sample

func (s samples) each(of func(sample) float64) []float64 {
	values := make([]float64, len(s))
	for i := range s {
		values[i] = of(s[i])
	}
	return values
}

func (s samples) medians() (ours, peer, ratio float64) {
	return median(s.each(func(s sample) float64 { return s.ours })),
		median(s.each(func(s sample) float64 { return s.peer })),
		median(s.each(sample.ratio))
}

// result fills in what the samples say.
func (s samples) result(r Result) Result {
	r.Ours, r.Peer, r.Ratio = s.medians()
	ratios := slices.Sorted(slices.Values(s.each(sample.ratio)))
	r.Low, r.High = ratios[len(ratios)/4], ratios[len(ratios)*3/4]
	return r
}

// Found fills in what a series measured of ours and of the peer, turn by turn.
func Found(r Result, ours, peer []float64) Result {
	s := make(samples, len(ours))
	for i := range s {
		s[i] = sample{ours[i], peer[i]}
	}
	return s.result(r)
}

// Bounded fills in what a series measured against a bound, which is the peer:
// the goal is to keep within it.
func Bounded(r Result, ours []float64, bound float64) Result {
	r.Against, r.Goal = "the bound", AtMost(1)
	return Found(r, ours, slices.Repeat([]float64{bound}, len(ours)))
}

// median returns the middle of values, of which there must be one at least.
func median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
