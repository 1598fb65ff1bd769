package redisbroker_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/adapters/redisbroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

func TestTheStockPublishersMessagesAreConsumed(t *testing.T) {
	t.Parallel()
	address := stack.Redis(t)
	b := open(t, address, map[string]any{})
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	stock, err := redisstream.NewPublisher(redisstream.PublisherConfig{Client: admin(t, address)}, watermill.NopLogger{})
	require.NoError(t, err)
	sent := odd()
	require.NoError(t, stock.Publish(prefix+"topic", sent...))

	_, msgs := subscribe(t, b)
	for _, want := range sent {
		got := receive(t, msgs)
		require.Equal(t, want.UUID, got.UUID)
		require.Equal(t, string(want.Payload), string(got.Payload))
		require.Equal(t, want.Metadata, got.Metadata)
		require.True(t, got.Ack())
	}
}

func TestTheStockSubscriberConsumesWhatWePublish(t *testing.T) {
	t.Parallel()
	address := stack.Redis(t)
	b := open(t, address, map[string]any{})
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	sent := odd()
	require.NoError(t, b.Publish("topic", sent...))

	stock, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{
		Client: admin(t, address), ConsumerGroup: "another service", DisableIndefiniteInitialBlock: true,
	}, watermill.NopLogger{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	msgs, err := stock.Subscribe(ctx, prefix+"topic")
	require.NoError(t, err)
	for _, want := range sent {
		got := receive(t, msgs)
		require.Equal(t, want.UUID, got.UUID)
		require.Equal(t, string(want.Payload), string(got.Payload))
		require.Equal(t, want.Metadata, got.Metadata)
		require.True(t, got.Ack())
	}
}

// odd returns messages that are not what the relay makes.
func odd() []*message.Message {
	var msgs []*message.Message
	for i, metadata := range []message.Metadata{
		{}, {"": ""}, {"key": "значение", "another": strings.Repeat("x", 300), "long": strings.Repeat("y", 70_000)},
	} {
		m := message.NewMessage(fmt.Sprint(i), []byte("\x00 Ёж \xff"))
		m.Metadata = metadata
		msgs = append(msgs, m)
	}
	return msgs
}

// Ours are the bytes of the stock marshaller, where a map's order allows to tell,
// and what it reads.
func TestEncodingIsTheStockMarshallers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := message.NewMessage(rapid.String().Draw(t, "uuid"), rapid.SliceOf(rapid.Byte()).Draw(t, "payload"))
		m.Metadata = rapid.MapOfN(text(), text(), 0, 40).Draw(t, "metadata")
		requireStock(t, m)
	})
	for _, n := range []int{31, 32, 255, 256, 1<<16 - 1, 1 << 16} {
		m := message.NewMessage("uuid", nil)
		m.Metadata.Set("key", strings.Repeat("x", n))
		requireStock(t, m)
	}
	m := message.NewMessage("uuid", nil)
	for n := range 1<<16 + 1 {
		m.Metadata.Set(fmt.Sprint(n), "")
		if n == 15 || n == 1<<16-2 || n == 1<<16 {
			requireStock(t, m)
		}
	}
}

func text() *rapid.Generator[string] { return rapid.StringN(0, 300, -1) }

func requireStock(t require.TestingT, m *message.Message) {
	stock := redisstream.DefaultMarshallerUnmarshaller{}
	want, err := stock.Marshal("", m)
	require.NoError(t, err)
	got, err := redisbroker.Encode(m)
	require.NoError(t, err)

	fields, read := map[string]any{}, map[string]any{}
	for i := 0; i < len(got); i += 2 {
		fields[got[i].(string)] = got[i+1]
		read[got[i].(string)] = fmt.Sprintf("%s", got[i+1])
	}
	require.Len(t, fields["metadata"], reflect.ValueOf(want["metadata"]).Len())
	if len(m.Metadata) > 1 {
		delete(want, "metadata")
		delete(fields, "metadata")
	}
	require.Equal(t, want, fields)

	back, err := stock.Unmarshal(read)
	require.NoError(t, err)
	require.Equal(t, m.UUID, back.UUID)
	require.Equal(t, string(m.Payload), string(back.Payload))
	require.Equal(t, m.Metadata, back.Metadata)
}

// An error of the unmarshaller ends the stock subscriber.
func TestWhatCanNotBeReadStopsNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		values  map[string]any
		payload string
	}{
		"no id":             {map[string]any{"payload": "{}"}, "{}"},
		"nothing of ours":   {map[string]any{"temperature": "21"}, `map["temperature":"21"]`},
		"metadata cut off":  {map[string]any{redisstream.UUIDHeaderKey: "1", "metadata": "\x81\xa3key", "payload": "\xff"}, "\xff"},
		"metadata a list":   {map[string]any{redisstream.UUIDHeaderKey: "1", "metadata": "\x91\x01", "payload": "{}"}, "{}"},
		"metadata too long": {map[string]any{redisstream.UUIDHeaderKey: "1", "metadata": "\xdf\xff\xff\xff\xff", "payload": "{}"}, "{}"},
		"no text":           {map[string]any{redisstream.UUIDHeaderKey: "1", "metadata": "\x81\x01\x02", "payload": "{}"}, "{}"},
		"not UTF-8":         {map[string]any{redisstream.UUIDHeaderKey: "1", "metadata": "\x81\xa3key\xa1\xff", "payload": "{}"}, "{}"},
		"a zero byte":       {map[string]any{redisstream.UUIDHeaderKey: "\x00", "payload": "{}"}, "{}"},
		"larger than ours":  {map[string]any{"payload": strings.Repeat("x", 200)}, strings.Repeat("x", 200)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, map[string]any{"max_message_bytes": 100}) // others may send more
			id := add(t, s.outside, "topic", tc.values)
			sent := s.publish(t, 1)
			_, msgs := subscribe(t, s.Broker)
			m := receive(t, msgs)
			require.Equal(t, sent[0].UUID, m.UUID)
			require.True(t, m.Ack())

			letter := receive(t, s.deadLetters(t))
			require.Equal(t, tc.payload, string(letter.Payload))
			require.NotEmpty(t, letter.UUID)
			require.Contains(t, letter.Metadata.Get(ports.MetaDeadReason), "decode message")
			require.Equal(t, prefix+"topic "+id, letter.Metadata.Get(ports.MetaDeadOrigin))
			require.True(t, letter.Ack())
		})
	}
}

// MessagePack's nil is a map to it, and nothing to write to.
func TestMetadataThatIsNilIsEmpty(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	add(t, s.outside, "topic", map[string]any{redisstream.UUIDHeaderKey: "1", "metadata": "\xc0"})
	_, msgs := subscribe(t, s.Broker)
	m := receive(t, msgs)
	m.Metadata.Set("key", "value")
	require.True(t, m.Ack())
}
