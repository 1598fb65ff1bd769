package app

import (
	"math"
	"time"
)

// Backoff says how long to wait before the next attempt: twice as long each
// time, with jitter, so that those who failed together don't return together.
type Backoff struct {
	Base   time.Duration  // after the first failure
	Max    time.Duration  // never longer
	Random func() float64 // in [0, 1)
}

// Delay returns the wait after the nth failure in a row: between half and all
// of Base * 2^(n-1), at most Max.
func (b Backoff) Delay(n int) time.Duration {
	full := math.Min(float64(b.Base)*math.Pow(2, float64(n-1)), float64(b.Max))
	return time.Duration(full * (0.5 + b.Random()/2))
}
