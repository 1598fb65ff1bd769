package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/fx"
)

// parts are what runs in a process, from its start to its stop. One that ends by
// itself ends the whole.
type parts struct {
	fail context.CancelCauseFunc

	stopping context.Context // ends for all of them at once: each then takes its time
	stop     context.CancelFunc

	mu      sync.Mutex
	running []string // in the order of their start
	unready []func()
}

func newParts(fail context.CancelCauseFunc) *parts {
	p := &parts{fail: fail}
	p.stopping, p.stop = context.WithCancel(context.Background())
	return p
}

// background runs a part; the name says what is running when it does not stop.
func (p *parts) background(lc fx.Lifecycle, name string, run func(context.Context) error) {
	done := make(chan struct{})
	start := func() {
		p.started(name)
		go func() {
			defer close(done)
			defer p.ended(name)
			if err := run(p.stopping); err != nil {
				p.fail(fmt.Errorf("run %s: %w", name, err))
			}
		}()
	}
	stop := func(limit context.Context) error {
		p.stop() // done already, unless the start has failed
		select {
		case <-done:
			return nil
		case <-limit.Done():
			return limit.Err()
		}
	}
	lc.Append(fx.StartStopHook(start, stop))
}

func (p *parts) started(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, name)
}

func (p *parts) ended(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = slices.DeleteFunc(p.running, func(running string) bool { return running == name })
}

// still returns the names of those that run.
func (p *parts) still() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.running)
}

// onDrain has a function called when the process is about to stop.
func (p *parts) onDrain(unready func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unready = append(p.unready, unready)
}

func (p *parts) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, unready := range p.unready {
		unready()
	}
}
