package compare_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/bench/compare"
)

// pass lets time pass, of a clock that is the test's own.
func pass(d time.Duration) { <-time.After(d) }

func TestRateIsOfWhatWasTimedAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var meter compare.Meter
		op := func(context.Context, int) error {
			pass(time.Hour) // to prepare
			defer pass(time.Hour)
			return meter.Time(500, func() error {
				pass(2 * time.Second)
				return nil
			})
		}
		measure := meter.Rate("messages/s")
		require.Equal(t, "messages/s", measure.Unit)
		for range 2 { // turns, which know nothing of each other
			rate, err := measure.Run(t.Context(), 3, 6, op)
			require.NoError(t, err)
			require.InDelta(t, 250, rate, 0.001)
		}
	})
}

func TestRateIsOfTheOperationsAskedFor(t *testing.T) {
	t.Parallel()
	var meter compare.Meter
	var done []int
	_, err := meter.Rate("messages/s").Run(t.Context(), 3, 6, func(_ context.Context, i int) error {
		done = append(done, i)
		return meter.Time(1, func() error {
			pass(time.Microsecond)
			return nil
		})
	})
	require.NoError(t, err)
	require.Equal(t, []int{3, 4, 5}, done)
}

func TestRateFailsWithTheOperation(t *testing.T) {
	t.Parallel()
	var meter compare.Meter
	broken := errors.New("broken")
	for _, op := range []compare.Op{
		func(context.Context, int) error { return broken },
		func(context.Context, int) error { return meter.Time(1, func() error { return broken }) },
	} {
		_, err := meter.Rate("messages/s").Run(t.Context(), 0, 1, op)
		require.ErrorIs(t, err, broken)
	}
	_, err := meter.Rate("messages/s").Run(t.Context(), 0, 1, func(context.Context, int) error { return nil })
	require.ErrorContains(t, err, "nothing was timed")
}
