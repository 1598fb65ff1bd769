package postgresbroker

import "sync"

// signals wakes the subscriptions of a topic. A signal that nobody waits for
// yet is kept; several are one.
type signals struct {
	mu     sync.Mutex
	topics map[string]map[chan struct{}]struct{}
}

func newSignals() *signals {
	return &signals{topics: map[string]map[chan struct{}]struct{}{}}
}

// add returns a channel that is signalled for a topic, until it is removed by
// the function returned.
func (s *signals) add(topic string) (<-chan struct{}, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	signal := make(chan struct{}, 1)
	if s.topics[topic] == nil {
		s.topics[topic] = map[chan struct{}]struct{}{}
	}
	s.topics[topic][signal] = struct{}{}
	return signal, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.topics[topic], signal)
	}
}

func (s *signals) wake(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for signal := range s.topics[topic] {
		send(signal)
	}
}

func (s *signals) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, signals := range s.topics {
		for signal := range signals {
			send(signal)
		}
	}
}

func send(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}
