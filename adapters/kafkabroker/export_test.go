package kafkabroker

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lectern/ports"
)

// What the external tests see of the inside.

// NewDialing is New with a way of one's own to connect to any of the brokers.
func NewDialing(opts Options, log *slog.Logger, dialer dial) (*Broker, error) {
	return newBroker(opts, log, dialer)
}

// Classify is classify.
func Classify(err error) ports.PublishFailure { return classify(err) }

// RetryDelayAfter is retryDelay.
func (o Options) RetryDelayAfter(nacks int) time.Duration { return o.retryDelay(nacks) }

// GroupName is groupName.
func (o Options) GroupName(group, topic string) string { return o.groupName(group, topic) }

// MaxHeldBack is maxHeldBack.
const MaxHeldBack = maxHeldBack

// TellsOfSpace reports whether whoever polls, and waits since as many records as
// it may have are queued, is told when their partition is lost.
func TellsOfSpace(ctx context.Context) bool {
	p := newPartition(ctx, 0)
	p.fresh = make([]*delivery, prefetch)
	s := &subscription{
		parts: map[int32]*partition{0: p}, fresh: prefetch, changed: make(chan struct{}), space: make(chan struct{}, 1),
	}
	s.close([]int32{0})
	return len(s.space) > 0 && s.fresh == 0
}

// Member is what a consumer of a group claims when partitions are spread.
type Member struct {
	Name        string
	Generation  int32
	Owned, Busy []int32
}

// Balance returns what each member, by name, is to own.
func Balance(partitions int32, claims ...Member) map[string][]int32 {
	members := make([]*member, len(claims))
	for i, c := range claims {
		joined := kmsg.NewJoinGroupResponseMember()
		joined.MemberID = c.Name
		members[i] = &member{joined: &joined, generation: c.Generation, owned: c.Owned, busy: c.Busy}
	}
	owned := map[string][]int32{}
	for _, m := range balance(members, partitions) {
		slices.Sort(m.owned)
		owned[m.joined.MemberID] = m.owned
	}
	return owned
}
