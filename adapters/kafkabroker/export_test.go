package kafkabroker

import (
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
