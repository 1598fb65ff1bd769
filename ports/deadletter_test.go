package ports_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func TestDeadTopicsAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	require.True(t, ports.IsDeadTopic(ports.DeadTopic("topic")))
	require.False(t, ports.IsDeadTopic("topic"))
	require.False(t, ports.IsDeadTopic("dead"))
}

func TestADeadLetterIsTheMessageAndWhy(t *testing.T) {
	t.Parallel()
	m := message.NewMessage("id", []byte("\x00\xff"))
	m.Metadata.Set("key", "value")
	m.Metadata.Set(ports.MetaDeadOrigin, "row 7")
	var to publisher
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.FixedZone("", 3600))
	require.NoError(t, ports.PublishDead(&to, "topic", "group", m, "no reason", now))

	require.Equal(t, "topic_dead", to.topic)
	require.Equal(t, m.UUID, to.sent.UUID)
	require.Equal(t, m.Payload, to.sent.Payload)
	require.Equal(t, message.Metadata{
		"key": "value", "dead-origin": "row 7", "dead-reason": "no reason", "dead-topic": "topic", "dead-group": "group",
		"dead-time": "2026-11-05T11:00:00Z",
	}, to.sent.Metadata)
	require.Len(t, m.Metadata, 2, "the message itself stays as it is")

	to.err = errors.New("down")
	require.ErrorIs(t, ports.PublishDead(&to, "topic", "group", m, "no reason", now), to.err)
}

type publisher struct {
	topic string
	sent  *message.Message
	err   error
}

func (p *publisher) Publish(topic string, msgs ...*message.Message) error {
	p.topic, p.sent = topic, msgs[0]
	return p.err
}

func (*publisher) Close() error { return nil }
