package app_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

// runLanes starts two lanes, which have a half of the outbox each, and waits
// until they are idle. The returned function stops them.
func runLanes(t *testing.T, deps app.RelayDeps, first, second *outbox) (*app.Lanes, func()) {
	t.Helper()
	for p := range int16(ports.OutboxPartitions) {
		o := first
		if p >= ports.OutboxPartitions/2 {
			o = second
		}
		o.held.Partitions = append(o.held.Partitions, ports.LeasedPartition{Partition: p, Token: 1})
	}
	lanes := app.NewLanes(deps, []ports.Outbox{first, second})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- lanes.Run(ctx) }()
	synctest.Wait()
	return lanes, func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// in is an entry of a course in a partition.
func in(t *testing.T, partition byte) domain.OutboxEntry {
	t.Helper()
	e := entry(t, domain.QueueSummarization)
	e.CourseID[len(e.CourseID)-1] = partition
	return e
}

func TestACommitWakesTheLaneOfItsCourseAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := newOutbox(), newOutbox()
		deps := relayDeps(first, newBroker())
		lanes, stop := runLanes(t, deps, first, second)
		require.Equal(t, [2]int{1, 1}, [2]int{first.claims, second.claims})
		e := in(t, 40)
		second.add(e)
		deps.Wake.NotifyCourse(e.CourseID)
		synctest.Wait()
		require.Equal(t, 1, first.claims)
		require.Len(t, second.settled, 1)
		deps.Wake.Notify() // as for what other processes commit
		synctest.Wait()
		require.Equal(t, 2, first.claims)
		require.True(t, lanes.Alive())
		require.Equal(t, time.Hour, lanes.PollInterval())
		stop()
	})
}

// So that none has to give back what another was to have.
func TestAllLanesAreAnnouncedBeforeOneTakesItsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := newOutbox(), newOutbox()
		first.holdErr = errors.New("not now") // it shares a little later
		_, stop := runLanes(t, relayDeps(first, newBroker()), first, second)
		stop()
		require.Equal(t, []string{"hold", "balance"}, first.asked[:2])
		require.Equal(t, []string{"hold", "balance", "give back"}, second.asked)
	})
}

func TestLanesAreAliveAsLongAsEachIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := newOutbox(), newOutbox()
		deps := relayDeps(first, newBroker())
		deps.Config.PollMin, deps.Config.PollMax = time.Second, 30*time.Second
		lanes, stop := runLanes(t, deps, first, second)
		time.Sleep(10 * time.Minute) //nolint:forbidigo // the bubble's clock
		require.True(t, lanes.Alive())
		second.mu.Lock()
		second.claimErr = errors.New("database gone")
		second.mu.Unlock()
		time.Sleep(90 * time.Second) //nolint:forbidigo // the bubble's clock
		require.False(t, lanes.Alive())
		stop()
	})
}

// A death of the process while a suspect entry is in hand counts against it, so
// nothing else may be the reason.
func TestASuspectEntryIsAllThatItsProcessHasInHand(t *testing.T) {
	t.Parallel()
	first, second := newOutbox(), newOutbox()
	first.held.Suspect = true
	for range 5 {
		first.add(in(t, 1))
		second.add(in(t, 40))
	}
	b := &slowBroker{broker: newBroker()}
	deps := relayDeps(first, newBroker())
	deps.Broker, deps.Config.BatchSize = b, 1
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.NewLanes(deps, []ports.Outbox{first, second}).Run(ctx) }()
	for _, o := range []*outbox{first, second} {
		o.until(t, "all is published", func(o *outbox) bool { return len(o.pending) == 0 })
	}
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, int64(1), b.most.Load())
}

// slowBroker takes its time, and counts who meets in it.
type slowBroker struct {
	*broker
	inHand, most atomic.Int64
}

func (b *slowBroker) Publish(topic string, msgs ...*message.Message) error {
	b.most.Store(max(b.most.Load(), b.inHand.Add(1)))
	defer b.inHand.Add(-1)
	<-time.After(5 * time.Millisecond)
	return b.broker.Publish(topic, msgs...)
}

// What was not sent yet when an entry before it failed is neither sent nor
// settled: settling the failed one parks it.
func TestWhatWaitsBehindAFailedEntryIsNotSentToAnotherTopicEither(t *testing.T) {
	t.Parallel()
	course := uuid.New()
	of := func(seq int64, queue domain.Queue) domain.OutboxEntry {
		e := entry(t, queue)
		e.CourseID, e.Seq = course, seq
		return e
	}
	for _, test := range []struct {
		name    string
		failure ports.PublishFailure
		onDead  domain.OnDead
		waits   bool
	}{
		{"it backs off", ports.Retryable, domain.OnDeadContinue, true},
		{"it is dead, and its course is blocked", ports.Refused, domain.OnDeadBlock, true},
		{"it is dead, and its course goes on", ports.Refused, domain.OnDeadContinue, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before, behind := of(2, domain.QueueStructureAnalysis), of(4, domain.QueueStructureAnalysis)
			failing, stranger := of(3, domain.QueueSummarization), entry(t, domain.QueueStructureAnalysis)
			stranger.Seq = 5
			o, b := newOutbox(of(1, domain.QueueSummarization), before, failing, behind, stranger), newBroker()
			b.fail = func(_ string, msgs []*message.Message) error {
				if msgs[0].Metadata.Get(ports.MetaType) == ports.MessageTypePrefix+string(domain.QueueSummarization) {
					return ports.NewPublishError(test.failure, errors.New("no"), msgs[1])
				}
				return nil
			}
			deps := relayDeps(o, b)
			deps.Config.OnDead = test.onDead
			relay := app.NewRelay(deps)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- relay.Run(ctx) }()
			o.until(t, "settled", func(o *outbox) bool { return len(o.settled) > 0 })
			cancel()
			require.NoError(t, <-done)
			want := []string{before.ID.String(), stranger.ID.String()}
			if !test.waits {
				want = []string{before.ID.String(), behind.ID.String(), stranger.ID.String()}
			}
			got := b.published[string(domain.QueueStructureAnalysis)]
			require.Equal(t, want, got[:len(want)])
			settled := o.settled[0]
			require.Len(t, append(settled.Retry, settled.Dead...), 1)
			require.Len(t, settled.Published, 1+len(want))
		})
	}
}

// lines hands on what is logged.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	select {
	case l <- string(line):
	default: // nobody reads them now
	}
	return len(line), nil
}

// A lane that waits for its turn, because another of its process hangs, lets go
// of its partitions as that one does: another process can go on.
func TestWhoWaitsForALaneThatHangsLetsGoToo(t *testing.T) {
	t.Parallel()
	hanging, waiting := newOutbox(entry(t, domain.QueueSummarization)), newOutbox()
	waiting.held = ports.Lease{Partitions: []ports.LeasedPartition{{Partition: 1, Token: 1}}, Suspect: true}
	hangs, release := make(chan struct{}), make(chan struct{})
	br := newBroker()
	br.fail = func(string, []*message.Message) error { close(hangs); <-release; return nil }
	deps := relayDeps(nil, br)
	var late atomic.Int64
	began := time.Now()
	deps.Now = func() time.Time { return began.Add(time.Duration(late.Load())) }
	deps.Config.Lease = 30 * time.Millisecond
	said := make(lines, 100)
	deps.Log = slog.New(slog.NewTextHandler(said, nil))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	lanes := app.NewLanes(deps, []ports.Outbox{hanging, waiting})
	go func() { done <- lanes.Run(ctx) }()
	<-hangs
	deps.Wake.Notify() // should it have had its turn before
	waiting.until(t, "it keeps its lease while it waits", func(o *outbox) bool { return len(o.asked) > 4 })
	late.Store(int64(2 * time.Minute)) // more than any batch should take
	deadline := time.After(10 * time.Second)
	for line := ""; !strings.Contains(line, "lets go") || !strings.Contains(line, "test/2"); {
		select {
		case line = <-said: // from the first on, of the one that hangs
			late.Add(int64(time.Minute))
		case <-deadline:
			t.Fatal("the lane that waits never let go")
		}
	}
	close(release)
	cancel()
	require.NoError(t, <-done)
}
