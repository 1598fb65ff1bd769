package compare

import (
	"context"
	"errors"
	"time"
)

// Meter times what counts of operations that do more: that make messages, join a
// group or leave it. It is for one client at a time.
type Meter struct {
	pieces int
	took   time.Duration
}

// Time does what counts. It is n pieces, of which a batch has several.
func (m *Meter) Time(n int, do func() error) error {
	start := time.Now()
	err := do()
	m.took += time.Since(start)
	m.pieces += n
	return err
}

// Rate is pieces a second, of nothing but what was timed. The unit names the piece.
func (m *Meter) Rate(unit string) Measure {
	return Measure{Unit: unit, Run: func(ctx context.Context, first, end int, op Op) (float64, error) {
		*m = Meter{}
		for i := first; i < end; i++ {
			if err := op(ctx, i); err != nil {
				return 0, err
			}
		}
		if m.pieces == 0 || m.took <= 0 {
			return 0, errors.New("nothing was timed")
		}
		return float64(m.pieces) / m.took.Seconds(), nil
	}}
}
