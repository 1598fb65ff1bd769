package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errBroken = errors.New("broken")

// delayed is a flow whose commands take 2 ms, and whose jobs arrive d later.
func delayed(d time.Duration) flow {
	f := flow{seen: &watch{}}
	f.prepare = func(_ context.Context, n int, of *trace) (func(context.Context, int) error, error) {
		names := make([]string, n)
		for i := range names {
			names[i] = time.Duration(i).String()
			of.index.Store(names[i], i)
		}
		return func(_ context.Context, i int) error {
			<-time.After(2 * time.Millisecond)
			time.AfterFunc(d, func() { f.seen.arrived(names[i]); f.seen.arrived(names[i]) })
			return nil
		}, nil
	}
	return f
}

func TestLatencyIsFromACommandsReturnToItsJobsArrival(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		took, err := load{gap: time.Millisecond, warmUp: 10, counted: 50}.run(t.Context(), delayed(3*time.Millisecond))
		require.NoError(t, err)
		require.Len(t, took.job, 50, "without those that warm up")
		require.InDelta(t, 3000, percentile(99, took.job), 0.1)
		require.InDelta(t, 2000, percentile(50, took.command), 0.1)
		require.Equal(t, 64*time.Millisecond, time.Since(began), "commands come whether or not others have returned")
	})
}

func TestACommandThatFailsEndsTheLoad(t *testing.T) {
	t.Parallel()
	f := flow{seen: &watch{}, prepare: func(context.Context, int, *trace) (func(context.Context, int) error, error) {
		return func(context.Context, int) error { return errBroken }, nil
	}}
	_, err := load{gap: time.Microsecond, counted: 10}.run(t.Context(), f)
	require.ErrorIs(t, err, errBroken)
}

func TestPercentileIsTheValueThatSoManyAreBelow(t *testing.T) {
	t.Parallel()
	of := make([]time.Duration, 100)
	for i := range of {
		of[i] = time.Duration(100-i) * time.Microsecond
	}
	require.InDelta(t, 51, percentile(50, of), 0)
	require.InDelta(t, 100, percentile(99, of), 0)
	require.InDelta(t, 1, percentile(99, of[:1]), 0)
}

func TestATallyIsDoneOnceForEachTimeItIsAskedFor(t *testing.T) {
	t.Parallel()
	tally := newTally()
	for range 2 {
		require.NoError(t, tally.wait(t.Context(), 5, func() { tally.add(3); tally.add(3) }))
		tally.add(1) // nobody waits
	}
	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorContains(t, tally.wait(ctx, 5, func() { tally.add(3); cancel() }), "2 of 5 are left")
}

func TestDataOfEntriesIsAsLongAsSaid(t *testing.T) {
	t.Parallel()
	require.Len(t, filled("0190f5fe-7c00-7a00-8000-0123456789ab"), entryBytes)
}
