package kafkabroker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// assign is called when partitions become ours. Records of them come after it.
func (s *subscription) assign(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range assigned[s.name] {
		p := newPartition(s.handling, id) //nolint:contextcheck // the messages' context is not that of the client
		s.parts[id] = p
		s.order = append(s.order, p)
	}
}

// revoke is called when partitions go to another consumer, or we leave. It waits
// for what is in hand of them, up to rebalance_timeout, and commits. Heartbeats
// and the other partitions go on meanwhile; these are consumed by nobody.
func (s *subscription) revoke(ctx context.Context, _ *kgo.Client, revoked map[string][]int32) {
	parts := s.close(revoked[s.name])
	timeout := time.NewTimer(s.opts.RebalanceTimeout)
	defer timeout.Stop()
	for waiting := parts; len(waiting) > 0; {
		select {
		case <-waiting[0].idle:
			waiting = waiting[1:]
		case <-timeout.C:
			s.log.Warn("Messages not settled before rebalance_timeout, they come again elsewhere", "partition", waiting[0].id)
			waiting = nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	if err := s.commit(ctx, s.heads(parts)); err != nil {
		s.log.Warn("What was settled is not committed, it comes again", "error", err)
	}
	s.lose(parts)
}

// lost is called when partitions are not ours any more: the group has gone on
// without us.
func (s *subscription) lost(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	parts := s.close(lost[s.name])
	if len(parts) > 0 {
		s.log.Warn("Partitions lost, what is in hand comes again elsewhere", "partitions", lost[s.name])
	}
	s.lose(parts)
}

// close ends the handing out of partitions.
func (s *subscription) close(ids []int32) []*partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []*partition
	for _, id := range ids {
		p := s.parts[id]
		if p == nil {
			continue
		}
		if !p.blocked {
			s.fresh -= len(p.fresh)
		} else {
			s.client.ResumeFetchPartitions(map[string][]int32{s.name: {id}})
		}
		p.close()
		parts = append(parts, p)
	}
	s.changes()
	s.signalSpace() // what filled it is gone, and nobody will take it
	return parts
}

func (s *subscription) lose(parts []*partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		p.lost = true
		p.giveUp()
		delete(s.parts, p.id)
	}
	s.order = slices.Collect(maps.Values(s.parts))
}
