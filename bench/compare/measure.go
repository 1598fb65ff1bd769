package compare

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Measure runs operations and makes a number of it.
type Measure struct {
	Unit string
	// Run does the operations from first to before end.
	Run func(ctx context.Context, first, end int, op Op) (float64, error)
}

// Throughput is operations a second, of clients that each begin the next
// operation when they have done one. The unit names the operation.
func Throughput(clients int, unit string) Measure {
	return Measure{Unit: unit, Run: func(ctx context.Context, first, end int, op Op) (float64, error) {
		var begun atomic.Int64
		start := time.Now()
		group, ctx := errgroup.WithContext(ctx)
		for range clients {
			group.Go(func() error {
				for i := first + int(begun.Add(1)) - 1; i < end; i = first + int(begun.Add(1)) - 1 {
					if err := op(ctx, i); err != nil {
						return err
					}
				}
				return nil
			})
		}
		err := group.Wait()
		return float64(end-first) / time.Since(start).Seconds(), err
	}}
}

// Latency is the median time of an operation in microseconds, at one client.
func Latency() Measure {
	return Measure{Unit: "µs", Run: func(ctx context.Context, first, end int, op Op) (float64, error) {
		took := make([]time.Duration, 0, end-first)
		for i := first; i < end; i++ {
			start := time.Now()
			if err := op(ctx, i); err != nil {
				return 0, err
			}
			took = append(took, time.Since(start))
		}
		return float64(median(took)) / float64(time.Microsecond), nil
	}}
}
