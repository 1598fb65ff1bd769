package app

import (
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"

	"lectern/ports"
)

// maxNews bounds the courses that are gathered while nothing can be told. Who
// watches others finds their events by polling.
const maxNews = 10_000

// news gathers what a process committed until somebody tells it.
type news struct {
	added *Signal

	mu      sync.Mutex
	entries bool
	courses map[uuid.UUID]struct{}
}

func newNews() *news { return &news{added: NewSignal(), courses: map[uuid.UUID]struct{}{}} }

func (n *news) add(entries bool, courses []uuid.UUID) {
	if !entries && len(courses) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.entries = n.entries || entries
	for _, course := range courses {
		if len(n.courses) < maxNews {
			n.courses[course] = struct{}{}
		}
	}
	n.added.Notify()
}

// take returns all there is, and keeps none of it.
func (n *news) take() ports.News {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := ports.News{Entries: n.entries, Courses: slices.Collect(maps.Keys(n.courses))}
	n.entries = false
	clear(n.courses)
	return taken
}
