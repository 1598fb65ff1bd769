package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// memoryPoll is the time between looks at a process's memory.
const memoryPoll = 20 * time.Millisecond

// residence is what a process has resident, looked at again and again.
type residence struct {
	stop    chan struct{}
	looking sync.WaitGroup
	seen    []float64 // MiB
}

// watchMemory looks until halves is called. Where there is no /proc, it sees nothing.
func watchMemory(pid int) *residence {
	m := &residence{stop: make(chan struct{})}
	m.looking.Go(func() {
		tick := time.NewTicker(memoryPoll)
		defer tick.Stop()
		for {
			if mib := resident(pid); mib > 0 {
				m.seen = append(m.seen, mib)
			}
			select {
			case <-m.stop:
				return
			case <-tick.C:
			}
		}
	})
	return m
}

// halves ends it, and returns the most there was in each half of the time.
func (m *residence) halves() (first, second float64) {
	close(m.stop)
	m.looking.Wait()
	for i, mib := range m.seen {
		if i < len(m.seen)/2 {
			first = max(first, mib)
		} else {
			second = max(second, mib)
		}
	}
	return first, second
}

func resident(pid int) (mib float64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if kib, found := strings.CutPrefix(line, "VmRSS:"); found {
			var n float64
			if _, err := fmt.Sscan(kib, &n); err == nil {
				return n / 1024
			}
		}
	}
	return 0
}
