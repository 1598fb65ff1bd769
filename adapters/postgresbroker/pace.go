package postgresbroker

import (
	"context"
	"time"
)

// pace is the pause before a subscription's next claim: none while there is
// work, then growing from firstPause to the longest.
type pace struct {
	longest time.Duration
	pause   time.Duration
	failing bool
}

const firstPause = 20 * time.Millisecond

func (p *pace) found() { p.pause, p.failing = 0, false }

func (p *pace) empty() { p.grow(false) }

// failed reports whether this is the first failure in a row.
func (p *pace) failed() bool {
	first := !p.failing
	p.grow(true)
	return first
}

func (p *pace) grow(failing bool) {
	p.pause = min(max(p.pause*3/2, firstPause), p.longest)
	p.failing = failing
}

// wait returns after the pause, with the signal, which starts the pauses anew,
// or at the end of ctx. While the server can't be reached, signals don't count.
func (p *pace) wait(ctx context.Context, signal <-chan struct{}) {
	if p.pause == 0 {
		return
	}
	if p.failing {
		signal = nil
	}
	timer := time.NewTimer(p.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-signal:
		p.pause = 0
	case <-ctx.Done():
	}
}
