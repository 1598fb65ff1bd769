package main

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/domain"
	"lectern/ports"
)

// What stands on a queue and is no job is kept, once, and holds up no job.
func TestWhatIsNoJobIsKeptAsADeadLetter(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runBackup, runWorkers))
	c, data := s.course(t, domain.QueueStructureGeneration, "")
	noJob := message.NewMessage("by hand", []byte("not a job: \x00"))
	s.publish(t, domain.QueueStructureGeneration, noJob, stray(t, data, 0))
	s.completes(t, c)
	s.settled(t, ports.GroupWorkers, ports.GroupBackup)
	require.Equal(t, 1, query[int](t, s, `select count(*)::int from `+brokerSchema+`.messages`))

	sub, err := s.broker.Subscriber(ports.GroupDead)
	require.NoError(t, err)
	letters, err := sub.Subscribe(t.Context(), ports.DeadTopic(string(domain.QueueStructureGeneration)))
	require.NoError(t, err)
	letter := <-letters
	require.True(t, letter.Ack())
	require.Equal(t, noJob.UUID, letter.UUID)
	require.Equal(t, noJob.Payload, letter.Payload)
	require.Contains(t, letter.Metadata.Get(ports.MetaDeadReason), `read message id "by hand"`)
	require.Equal(t, ports.GroupWorkers, letter.Metadata.Get(ports.MetaDeadGroup))
}
