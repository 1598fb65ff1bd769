package natsbroker_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
	"lectern/ports"
)

// A header's lines are trimmed, and some are orders to the server or signs to
// the client. (Nats-Rollup would delete what is older, Status make the client
// take the message for the server's own.)
func TestMetadataThatAHeaderCannotHoldIsKept(t *testing.T) {
	t.Parallel()
	b := prepared(t, stack.NATS(t))
	first, second := jobs(1)[0], jobs(1)[0]
	for key, value := range map[string]string{
		"lines": "a\r\nb\n", "spaces": "  a\t", "space": " ", "with: colon": "a", "with space": "a", "ключ": "значение", "": "empty",
		"Status": "404", "Description": "No Messages", "Nats-Rollup": "all", "nats-ttl": "1s", "Nats-Msg-Id": "1",
		"_watermill_message_uuid": "another", "lectern-metadata": "{", "Case": "1", "case": "2", "control": "\x01\x7f",
	} {
		second.Metadata.Set(key, value)
	}
	second.Payload = []byte{}
	require.NoError(t, b.Publish("topic", first, second))
	_, msgs := subscribe(t, b)
	require.Equal(t, first.UUID, receive(t, msgs).UUID)
	m := receive(t, msgs)
	require.Equal(t, second.UUID, m.UUID)
	require.Equal(t, second.Metadata, m.Metadata)
	require.Empty(t, m.Payload)
}

func TestAnIdThatAHeaderCannotHoldIsRefused(t *testing.T) {
	t.Parallel()
	b := prepared(t, stack.NATS(t))
	for _, id := range []string{"a\nb", " a"} {
		job := jobs(1)[0]
		job.UUID = id
		requireFailure(t, ports.Refused, b.Publish("topic", job), "the id")
	}
}

// As watermill-nats writes and reads it.
func TestOurMessagesAreWatermillsOnTheWire(t *testing.T) {
	t.Parallel()
	s := stack.NATS(t)
	b := prepared(t, s)
	job := jobs(1)[0]
	require.NoError(t, b.Publish("topic", job))
	stream, err := admin(t, s.Address).Stream(t.Context(), streamOf(s, "topic"))
	require.NoError(t, err)
	raw, err := stream.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, string(job.Payload), string(raw.Data))
	require.Equal(t, nats.Header{
		"_watermill_message_uuid": []string{job.UUID},
		"ce_subject":              []string{job.Metadata.Get("ce_subject")},
	}, raw.Header)
}

func TestWhatIsNotOursBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]nats.Header{
		"no header":            nil,
		"no id":                {"key": {"value"}},
		"two ids":              {"_watermill_message_uuid": {"1", "2"}},
		"two values":           {"_watermill_message_uuid": {"1"}, "key": {"1", "2"}},
		"no JSON":              {"_watermill_message_uuid": {"1"}, "lectern-metadata": {"{"}},
		"no text":              {"_watermill_message_uuid": {"1"}, "key": {"\xff"}},
		"a zero byte":          {"_watermill_message_uuid": {"1"}, "lectern-metadata": {`{"key": "\u0000"}`}},
		"values that are none": {"_watermill_message_uuid": {"1"}, "lectern-metadata": {`{"key": {}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stack.NATS(t)
			b := prepared(t, s, "max_message_bytes", 5) // others may send more
			_, msgs := subscribe(t, b)
			_, err := admin(t, s.Address).PublishMsg(t.Context(), &nats.Msg{Subject: s.Prefix + "topic", Header: header, Data: []byte("somebody else's")})
			require.NoError(t, err)

			sub, err := b.Subscriber(ports.GroupDead)
			require.NoError(t, err)
			letters, err := sub.Subscribe(t.Context(), ports.DeadTopic("topic"))
			require.NoError(t, err)
			letter := receive(t, letters)
			require.Equal(t, "somebody else's", string(letter.Payload))
			require.Contains(t, letter.Metadata.Get(ports.MetaDeadReason), "not a message: ")
			require.Equal(t, "stream "+streamOf(s, "topic")+", sequence 1", letter.Metadata.Get(ports.MetaDeadOrigin))
			require.True(t, letter.Ack())
			require.Empty(t, msgs)
		})
	}
}
