package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// flow is a way from a command to a consumer.
type flow struct {
	// prepare makes n commands of courses that the trace then knows.
	prepare func(ctx context.Context, n int, of *trace) (send func(ctx context.Context, i int) error, err error)
	seen    *watch // is told by the consumer
}

// watch hands what a consumer sees to the trace of the moment.
type watch struct{ trace atomic.Pointer[trace] }

func (w *watch) arrived(course string) {
	if t := w.trace.Load(); t != nil {
		t.arrived(course)
	}
}

// trace is when each of a load's commands had returned and its job arrived.
type trace struct {
	began    time.Time
	index    sync.Map        // course to number
	sent     []time.Duration // likewise
	returned []time.Duration
	arrivals []atomic.Int64 // since it began; 0 for not yet
	tally    *tally
}

func newTrace(n int) *trace {
	return &trace{began: time.Now(), sent: make([]time.Duration, n), returned: make([]time.Duration, n), arrivals: make([]atomic.Int64, n), tally: newTally()}
}

func (t *trace) arrived(course string) {
	found, _ := t.index.Load(course)
	if i, ok := found.(int); ok && t.arrivals[i].CompareAndSwap(0, int64(time.Since(t.began))) {
		t.tally.add(1)
	}
}

// took is how long commands took, and their jobs after that.
type took struct{ command, job []time.Duration }

// took is that of commands from the n-th on. A job may arrive before its command
// returns.
func (t *trace) took(n int) took {
	var all took
	for i := n; i < len(t.returned); i++ {
		all.command = append(all.command, t.returned[i]-t.sent[i])
		all.job = append(all.job, time.Duration(t.arrivals[i].Load())-t.returned[i])
	}
	return all
}

// load is how commands come: at fixed times, whether or not those before have returned.
type load struct {
	gap     time.Duration // from one to the next
	warmUp  int           // commands that are not counted
	counted int
}

// busyLoad is 1,000 commands/s.
func busyLoad() load { return load{gap: time.Millisecond, warmUp: 1000, counted: 3000} }

// idleLoad is one command at a time, into an idle system.
func idleLoad() load { return load{gap: 40 * time.Millisecond, warmUp: 5, counted: 100} }

// arrivalTimeout is for the last to arrive: a relay that has just come up may
// not yet listen, and poll.
const arrivalTimeout = 40 * time.Second

// run returns how long each command took, and its job to the consumer after that.
func (l load) run(ctx context.Context, f flow) (took, error) {
	n := l.warmUp + l.counted
	t := newTrace(n)
	send, err := f.prepare(ctx, n, t)
	if err != nil {
		return took{}, err
	}
	f.seen.trace.Store(t)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(n)*l.gap+arrivalTimeout)
	defer cancel()
	var sending errgroup.Group
	err = t.tally.wait(ctx, n, func() {
		t.began = time.Now()
		var begun atomic.Int64
		for range clients {
			sending.Go(func() error {
				for i := int(begun.Add(1)) - 1; i < n; i = int(begun.Add(1)) - 1 {
					sleepUntil(ctx, t.began.Add(time.Duration(i)*l.gap))
					t.sent[i] = time.Since(t.began)
					if err := send(ctx, i); err != nil {
						cancel()
						return err
					}
					t.returned[i] = time.Since(t.began)
				}
				return nil
			})
		}
	})
	if sendErr := sending.Wait(); sendErr != nil {
		return took{}, fmt.Errorf("send a command: %w", sendErr)
	}
	return t.took(l.warmUp), err
}

func sleepUntil(ctx context.Context, at time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(at)):
	}
}

// percentile is in microseconds. It sorts.
func percentile(p int, of []time.Duration) float64 {
	slices.Sort(of)
	return float64(of[min(len(of)*p/100, len(of)-1)]) / float64(time.Microsecond)
}
