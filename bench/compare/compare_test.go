package compare_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/bench/compare"
)

// recorder is two sides whose steps are written down.
type recorder struct{ steps []string }

func (r *recorder) side(name string) compare.Side {
	return func(context.Context, int) (compare.Op, error) {
		r.steps = append(r.steps, "prepare "+name)
		return func(context.Context, int) error {
			r.steps = append(r.steps, name)
			return nil
		}, nil
	}
}

func (r *recorder) settle(context.Context) error {
	r.steps = append(r.steps, "settle")
	return nil
}

func runner(rounds int, settle func(context.Context) error) compare.Runner {
	return compare.Runner{Rounds: rounds, Settle: settle, Log: slog.New(slog.DiscardHandler)}
}

func settled(context.Context) error { return nil }

func TestSidesTakeTurns(t *testing.T) {
	t.Parallel()
	var r recorder
	_, err := runner(2, r.settle).Run(t.Context(), compare.Bench{
		Measure: compare.Latency(), Ops: 1, Ours: r.side("ours"), Peer: r.side("peer"),
	})
	require.NoError(t, err)
	round := "prepare ours, prepare peer" + strings.Repeat(", settle, ours, peer", 2) + strings.Repeat(", ours, peer", 10)
	require.Equal(t, round+", "+round, strings.Join(r.steps, ", "))
}

// given is a measure of which each turn gives the next number of a side.
func given(numbers ...float64) compare.Measure {
	next := 0
	return compare.Measure{Unit: "pieces", Run: func(context.Context, int, int, compare.Op) (float64, error) {
		next++
		return numbers[next-1], nil
	}}
}

func TestResultIsTheMedianWithoutTheWarmUp(t *testing.T) {
	t.Parallel()
	numbers := []float64{1000, 1, 1000, 1} // the warm-ups
	for i := range 10 {
		numbers = append(numbers, float64(10*(i+1)), 10) // ratios 1 to 10
	}
	var r recorder
	result, err := runner(1, settled).Run(t.Context(), compare.Bench{
		Name: "a", Against: "b", Measure: given(numbers...), Ops: 1, Ours: r.side(""), Peer: r.side(""), Goal: compare.AtLeast(2),
	})
	require.NoError(t, err)
	require.Equal(t, compare.Result{
		Name: "a", Unit: "pieces", Ours: 55, Against: "b", Peer: 10, Ratio: 5.5, Low: 3, High: 8, Goal: compare.AtLeast(2),
	}, result)
}

func TestEachOperationIsDoneOnce(t *testing.T) {
	t.Parallel()
	var done [12 * 7]atomic.Int64
	side := func(_ context.Context, ops int) (compare.Op, error) {
		require.Equal(t, len(done), ops)
		return func(_ context.Context, i int) error {
			done[i].Add(1)
			return nil
		}, nil
	}
	_, err := runner(1, settled).Run(t.Context(), compare.Bench{
		Measure: compare.Throughput(3, "ops/s"), Ops: 7, Ours: side, Peer: side,
	})
	require.NoError(t, err)
	for i := range done {
		require.Equal(t, int64(2), done[i].Load(), "by ours and by the peer: %d", i)
	}
}

func TestAnyErrorEndsTheBench(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	fine := func(context.Context, int) (compare.Op, error) {
		return func(context.Context, int) error { return nil }, nil
	}
	unprepared := func(context.Context, int) (compare.Op, error) { return nil, broken }
	failing := func(context.Context, int) (compare.Op, error) {
		return func(_ context.Context, i int) error {
			if i == 5 {
				return broken
			}
			return nil
		}, nil
	}
	for _, m := range []compare.Measure{compare.Latency(), compare.Throughput(2, "ops/s")} {
		for _, sides := range [][2]compare.Side{{unprepared, fine}, {fine, unprepared}, {failing, fine}, {fine, failing}} {
			_, err := runner(1, settled).Run(t.Context(), compare.Bench{Measure: m, Ops: 3, Ours: sides[0], Peer: sides[1]})
			require.ErrorIs(t, err, broken)
		}
		_, err := runner(1, func(context.Context) error { return broken }).Run(t.Context(),
			compare.Bench{Measure: m, Ops: 3, Ours: fine, Peer: fine})
		require.ErrorIs(t, err, broken)
	}
}

func TestGoalIsMetAtItsLimit(t *testing.T) {
	t.Parallel()
	require.True(t, compare.AtLeast(2).Met(2))
	require.True(t, compare.AtLeast(2).Met(1.996), "which is reported as 2.00")
	require.False(t, compare.AtLeast(2).Met(1.99))
	require.True(t, compare.AtMost(1.3).Met(1.3))
	require.False(t, compare.AtMost(1.3).Met(1.31))
}

func results() []compare.Result {
	return []compare.Result{
		{Name: "command", Unit: "commands/s", Ours: 8400.4, Against: "River", Peer: 3500, Ratio: 2.404, Low: 2.3, High: 2.5, Goal: compare.AtLeast(2)},
		{Name: "replay", Unit: "µs", Ours: 80, Against: "select", Peer: 56, Ratio: 1.43, Low: 1.4, High: 1.5, Goal: compare.AtMost(1.3)},
	}
}

func TestJSONIsAListOfResults(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, compare.WriteJSON(&out, compare.Rows(results())))
	require.JSONEq(t, `[
		{"name": "command", "value": 8400, "unit": "commands/s", "against": "River: 3500", "ratio": 2.4, "goal": ">= 2"},
		{"name": "replay", "value": 80, "unit": "µs", "against": "select: 56", "ratio": 1.43, "goal": "<= 1.3"}
	]`, out.String())
	require.Contains(t, out.String(), `">= 2"`)
}

func TestTableSaysWhichGoalIsMet(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, compare.WriteTable(&out, results()))
	require.Equal(t, strings.TrimPrefix(`
bench    ours  peer  unit        ratio  half in    goal            against
command  8400  3500  commands/s  2.40   2.30-2.50  >= 2    met     River
replay   80    56    µs          1.43   1.40-1.50  <= 1.3  missed  select
`, "\n"), out.String())
}
