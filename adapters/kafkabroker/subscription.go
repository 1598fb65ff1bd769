package kafkabroker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// prefetch is how many records wait to be handed out before no more are polled.
	// A poll takes a whole fetch, a few MiB, while the library gets the next one.
	prefetch = 1000

	// commitEvery is how often what is settled is committed; what a consumer
	// settles in its last moments comes again when it dies.
	commitEvery = time.Second

	// errorPause keeps a consumer that gets errors from asking on and on.
	errorPause = 250 * time.Millisecond
)

// subscription hands out one topic's messages to one consumer. It polls records
// into the partitions' queues, from where slots take them.
type subscription struct {
	opts               Options
	log                *slog.Logger
	broker             *Broker
	topic, name, group string // ours, the broker's; ours
	client             *kgo.Client
	out                chan *message.Message

	mu      sync.Mutex
	parts   map[int32]*partition
	order   []*partition  // the same; who is first is asked first
	fresh   int           // of partitions that are not blocked
	changed chan struct{} // closed when there is more to hand out
	space   chan struct{} // signals that more can be polled

	turn sync.Mutex // of the slot that hands out next

	stopping context.Context // ends: nothing more is polled or handed out
	stop     context.CancelFunc
	handling context.Context // the messages' context; ends when they are given up
	giveUp   context.CancelFunc
}

var _ kgo.HookFetchRecordBuffered = (*subscription)(nil)

// newSubscription joins the group. ctx ends the subscription.
func newSubscription(ctx context.Context, b *Broker, topic, group string) (*subscription, error) {
	s := &subscription{
		opts:    b.opts,
		log:     b.log.With("topic", topic, "group", group),
		broker:  b,
		topic:   topic,
		name:    b.opts.topicName(topic),
		group:   group,
		out:     make(chan *message.Message),
		parts:   map[int32]*partition{},
		changed: make(chan struct{}),
		space:   make(chan struct{}, 1),
	}
	s.stopping, s.stop = context.WithCancel(ctx)
	s.handling, s.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock() // until there is a client: it may call back at once
	defer s.mu.Unlock()
	client, err := kgo.NewClient(append(s.clientOptions(context.WithoutCancel(ctx)), b.common...)...)
	if err != nil {
		s.stop()
		s.giveUp()
		return nil, err
	}
	s.client = client
	return s, nil
}

func (s *subscription) clientOptions(ctx context.Context) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(s.opts.groupName(s.group, s.topic)),
		kgo.ConsumeTopics(s.name),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), // of partitions that came after Prepare
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(balancer{s.busy}),
		kgo.SessionTimeout(s.opts.Lease),
		kgo.HeartbeatInterval(max(s.opts.Lease/10, 10*time.Millisecond)),
		kgo.RebalanceTimeout(s.opts.RebalanceTimeout + s.opts.Timeout),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(commitEvery),
		kgo.WithContext(s.withCounts(ctx)), // of the commits that are made by themselves
		kgo.OnPartitionsAssigned(s.assign),
		kgo.OnOffsetsFetched(s.fetched),
		kgo.OnPartitionsRevoked(s.revoke),
		kgo.OnPartitionsLost(s.lost),
		kgo.WithHooks(s),
		kgo.FetchMaxWait(time.Second),
	}
}

// run returns when the subscription has stopped, what was in hand is settled, or
// given up, and committed, and the group is left.
func (s *subscription) run() {
	var slots, poller sync.WaitGroup
	for range s.opts.Concurrency {
		slots.Go(s.slot)
	}
	poller.Go(s.poll)
	<-s.stopping.Done()
	giveUp := time.AfterFunc(s.opts.CloseTimeout, s.giveUp)
	slots.Wait()
	giveUp.Stop()
	poller.Wait()
	s.leave()
	s.stop()
	s.giveUp()
}

// leave commits, by revoke.
func (s *subscription) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	if err := s.client.LeaveGroupContext(ctx); err != nil {
		s.log.Warn("Group not left, its partitions are consumed after the lease", "error", err)
	}
	s.client.Close()
}

// OnFetchRecordBuffered implements kgo.HookFetchRecordBuffered.
func (s *subscription) OnFetchRecordBuffered(r *kgo.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.parts[r.Partition]; p != nil {
		r.Context = p.tag
	}
}

// poll fills the partitions' queues until the subscription stops. It never
// blocks a rebalance: what it gets of a partition that is not ours any more, or
// is ours again, is told by its tag and left.
func (s *subscription) poll() {
	failing := false
	for s.awaitSpace() {
		fetches := s.client.PollFetches(s.stopping)
		n := s.enqueue(fetches)
		err := fetches.Err()
		if s.stopping.Err() != nil || errors.Is(err, kgo.ErrClientClosed) {
			return
		}
		if err != nil && !failing {
			s.log.Warn("Can't consume, trying again", "error", err)
		}
		failing = err != nil
		if failing && n == 0 {
			s.pause(errorPause)
		}
	}
}

func (s *subscription) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopping.Done():
	}
}

// awaitSpace returns false once stopped.
func (s *subscription) awaitSpace() bool {
	for {
		s.mu.Lock()
		has := s.fresh < prefetch
		s.mu.Unlock()
		if has {
			return s.stopping.Err() == nil
		}
		select {
		case <-s.space:
		case <-s.stopping.Done():
			return false
		}
	}
}

func (s *subscription) enqueue(fetches kgo.Fetches) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	fetches.EachRecord(func(r *kgo.Record) {
		t, tagged := r.Context.(*tag)
		if !tagged || t.part.isClosed() {
			return
		}
		p := t.part
		p.fresh = append(p.fresh, &delivery{record: r, part: p})
		if !p.blocked {
			s.fresh++
		}
		n++
	})
	if n > 0 {
		s.changes()
	}
	return n
}

// changes wakes who waits for something to hand out. The lock is held.
func (s *subscription) changes() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// busy returns the partitions of which something is in hand.
func (s *subscription) busy() []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := []int32{}
	for id, p := range s.parts {
		if p.inHand > 0 {
			busy = append(busy, id)
		}
	}
	slices.Sort(busy)
	return busy
}
