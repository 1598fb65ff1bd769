package redisbroker

import (
	"fmt"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
)

// payloadField is where the wire format has a message's payload.
const payloadField = "payload"

// encode returns an entry's fields, in watermill-redisstream's format.
func encode(topic string, m *message.Message) (map[string]any, error) {
	values, err := redisstream.DefaultMarshallerUnmarshaller{}.Marshal(topic, m)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return values, nil
}

// decode reads an entry's fields.
func decode(values map[string]any) (*message.Message, error) {
	m, err := redisstream.DefaultMarshallerUnmarshaller{}.Unmarshal(values)
	if err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	if m.Metadata == nil {
		m.Metadata = message.Metadata{}
	}
	return m, nil
}

// unreadable makes a message of what can't be decoded: its payload as it is or,
// where there is none, all fields in Go's syntax.
func unreadable(values map[string]any) *message.Message {
	payload, ok := values[payloadField].(string)
	if !ok {
		payload = fmt.Sprintf("%q", values)
	}
	return message.NewMessage(uuid.NewString(), []byte(payload))
}
