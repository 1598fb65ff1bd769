package app_test

import (
	"math"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

// replaced makes the workshop's broker an old one, and returns the one that has
// replaced it.
func (w *workshop) replaced(breaks int) *queueBroker {
	old := &breaking{queueBroker: w.broker, breaks: breaks}
	current := &queueBroker{broker: *newBroker(), queues: map[string]chan *message.Message{}}
	w.deps.Broker, w.deps.Old = current, []app.OldBroker{{Name: "the old one", Broker: old}}
	w.deps.Backoff = app.Backoff{Base: time.Millisecond, Max: time.Second, Random: func() float64 { return 0 }}
	return current
}

func TestJobsOfAnOldBrokerAreWorkedOff(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]int{"at once": 0, "though it can't be reached for a while": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop()
			w.replaced(breaks)
			require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
			require.NotNil(t, w.only(t).Analysis)

			w = newWorkshop()
			w.replaced(breaks)
			require.True(t, w.arrive(t, domain.QueueStructureAnalysis, w.stray()))
			require.Len(t, w.commands.given, 1)
		})
	}
}

func TestAnOldBrokerThatIsGoneKeepsNobodyFromTheNewOne(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.replaced(math.MaxInt)
	w.deps.Broker = w.broker
	require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
	require.True(t, w.arrive(t, domain.QueueStructureAnalysis, w.stray()))
}

func TestTheBrokersOwnFailureStillEndsTheWorkers(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.replaced(0)
	w.deps.Broker = newBroker() // has no subscriber
	require.ErrorIs(t, app.NewWorkers(w.deps).Run(t.Context()), errNoSubscriber)
}

func TestWhatCanNotBeReadOfAnOldBrokerIsADeadLetterOfTheNewOne(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	current := w.replaced(0)
	id := uuid.NewString()
	require.True(t, w.deliverMessage(t, domain.QueueStructureAnalysis, message.NewMessage(id, []byte("not json"))))
	require.Equal(t, map[string][]string{ports.DeadTopic(string(domain.QueueStructureAnalysis)): {id}}, current.published)
	require.Empty(t, w.broker.published)
}
