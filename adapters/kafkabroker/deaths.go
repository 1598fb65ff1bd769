package kafkabroker

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A message may take its process with it, and nobody lives to nack it. So what
// is committed of a partition also says, as the offset's metadata, how often the
// message there, the head, was handed out without an answer. Who gives the
// partition back in peace takes its own time off.

const (
	// suspects is how many messages of a partition are handed out one by one
	// after its consumer died: each may be what killed it, and is its head then.
	suspects = 100

	// countPatience bounds the wait for a count to be committed. In a rebalance
	// none can be, and the partitions that stay are handed out all the same.
	countPatience = time.Second

	countFormat = "handed out %d times"
)

// fetched learns how often the heads of partitions that became ours were handed
// out before. Records of them come after it.
func (s *subscription) fetched(_ context.Context, _ *kgo.Client, answer *kmsg.OffsetFetchResponse) error {
	if !s.buries() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, group := range answer.Groups {
		for _, topic := range group.Topics {
			for _, committed := range topic.Partitions {
				if p := s.parts[committed.Partition]; p != nil {
					p.fetched(committed.Metadata)
				}
			}
		}
	}
	return nil
}

func (p *partition) fetched(metadata *string) {
	if metadata == nil {
		return
	}
	if _, err := fmt.Sscanf(*metadata, countFormat, &p.deaths); err == nil && p.deaths > 0 {
		p.suspects = suspects
	}
}

// startCount tells whether a delivery that was taken must be counted before it is
// handed out, and keeps those behind it from overtaking it meanwhile. The count of
// a busy partition goes with the commits that are made anyway.
func (s *subscription) startCount(d *delivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := d.part
	if !s.buries() || d.counted || p.unsettled[0] != d || p.counted && p.suspects == 0 {
		return false
	}
	p.counting = true
	return true
}

// count commits that a delivery is handed out, and makes it the next to be so.
func (s *subscription) count(d *delivery) {
	p := d.part
	ctx, cancel := context.WithTimeout(p.handling, countPatience)
	defer cancel()
	if err := s.commit(ctx, s.heads([]*partition{p})); err != nil {
		s.log.Debug("Message handed out without being counted", "partition", p.id, "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.counting, d.counted = false, true
	if p.isClosed() {
		p.release()
		return
	}
	p.holdBack(d, time.Time{})
	s.changes()
}

// heads returns the places up to which partitions are settled.
func (s *subscription) heads(parts []*partition) map[int32]kgo.EpochOffset {
	s.mu.Lock()
	defer s.mu.Unlock()
	heads := map[int32]kgo.EpochOffset{}
	for _, p := range parts {
		switch {
		case len(p.unsettled) > 0:
			head := p.unsettled[0].record
			heads[p.id] = kgo.EpochOffset{Epoch: head.LeaderEpoch, Offset: head.Offset}
		case p.settledTo != nil:
			heads[p.id] = kgo.EpochOffset{Epoch: p.settledTo.LeaderEpoch, Offset: p.settledTo.Offset + 1}
		}
	}
	return heads
}

// commit returns once it is done.
func (s *subscription) commit(ctx context.Context, heads map[int32]kgo.EpochOffset) error {
	var failed error
	s.client.CommitOffsetsSync(s.withCounts(ctx), map[string]map[int32]kgo.EpochOffset{s.name: heads},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			failed = firstError(answer, err)
		})
	return failed
}

func firstError(answer *kmsg.OffsetCommitResponse, err error) error {
	if err != nil {
		return err
	}
	for _, topic := range answer.Topics {
		for _, partition := range topic.Partitions {
			if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// withCounts has the counts go with the commits that are made with a context.
func (s *subscription) withCounts(ctx context.Context) context.Context {
	if !s.buries() {
		return ctx
	}
	return kgo.PreCommitFnContext(ctx, s.addCounts)
}

func (s *subscription) addCounts(commit *kmsg.OffsetCommitRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, topic := range commit.Topics {
		for i := range topic.Partitions {
			committed := &topic.Partitions[i]
			text := ""
			if p := s.parts[committed.Partition]; p != nil {
				text = p.countToCommit()
			}
			committed.Metadata = &text
		}
	}
	return nil
}

// countToCommit is what is committed with the head.
func (p *partition) countToCommit() string {
	p.counted = len(p.unsettled) > 0
	n := p.deaths
	if p.counted {
		n = p.unsettled[0].deaths
		if !p.isClosed() {
			n++
		}
	}
	return fmt.Sprintf(countFormat, n)
}
