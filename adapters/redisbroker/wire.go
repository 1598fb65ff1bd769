package redisbroker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
)

// Fields of the wire format besides redisstream.UUIDHeaderKey.
const (
	metadataField = "metadata"
	payloadField  = "payload"
)

// typicalMetadata is how many bytes a message's take encoded, about.
const typicalMetadata = 320

// encoder makes entries of a batch of messages, in memory that they share.
type encoder struct {
	values   []any
	metadata []byte
}

func newEncoder(messages int) *encoder {
	return &encoder{make([]any, 0, messages*6), make([]byte, 0, messages*typicalMetadata)}
}

// encode returns an entry's fields in watermill-redisstream's format, as its
// marshaller makes them. That one takes longer than sending, and shuffles the
// fields; Redis stores them in less where they have the same order.
func (e *encoder) encode(m *message.Message) ([]any, error) {
	if m.Metadata.Get(redisstream.UUIDHeaderKey) != "" {
		return nil, fmt.Errorf("the metadata %s is the wire format's own", redisstream.UUIDHeaderKey)
	}
	first := len(e.values)
	e.values = append(
		e.values,
		redisstream.UUIDHeaderKey, m.UUID,
		metadataField, e.encodeMetadata(m.Metadata),
		payloadField, []byte(m.Payload),
	)
	return e.values[first:len(e.values):len(e.values)], nil
}

// encodeMetadata returns a MessagePack map of strings, or nothing for none.
func (e *encoder) encodeMetadata(metadata message.Metadata) []byte {
	if len(metadata) == 0 {
		return nil
	}
	buf, from := e.metadata, len(e.metadata)
	const map16, map32 = 0xde, 0xdf
	switch n := len(metadata); {
	case n < 16:
		buf = append(buf, 0x80|byte(n))
	case n <= math.MaxUint16:
		buf = binary.BigEndian.AppendUint16(append(buf, map16), uint16(n))
	default:
		buf = binary.BigEndian.AppendUint32(append(buf, map32), uint32(n)) //nolint:gosec // no map of ours is as large
	}
	for key, value := range metadata {
		buf = appendText(appendText(buf, key), value)
	}
	e.metadata = buf
	return buf[from:len(buf):len(buf)]
}

func appendText(buf []byte, s string) []byte {
	const str8, str16, str32 = 0xd9, 0xda, 0xdb
	switch n := len(s); {
	case n < 32:
		buf = append(buf, 0xa0|byte(n))
	case n <= math.MaxUint8:
		buf = append(buf, str8, byte(n))
	case n <= math.MaxUint16:
		buf = binary.BigEndian.AppendUint16(append(buf, str16), uint16(n))
	default:
		buf = binary.BigEndian.AppendUint32(append(buf, str32), uint32(n)) //nolint:gosec // a payload is not as large
	}
	return append(buf, s...)
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
	return m, requireText(m)
}

// requireText keeps out what no broker would publish again as a dead letter.
func requireText(m *message.Message) error {
	ok := isText(m.UUID)
	for key, value := range m.Metadata {
		ok = ok && isText(key) && isText(value)
	}
	if !ok {
		return errors.New("decode message: its id or metadata is not UTF-8, or holds a zero byte")
	}
	return nil
}

func isText(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

// unreadable makes a message of what can't be decoded: its payload as it is or,
// where there is none, all fields in Go's syntax.
func unreadable(values map[string]any) *message.Message {
	payload, ok := values[payloadField].(string)
	if !ok {
		payload = fmt.Sprintf("%q", values)
	}
	return message.NewMessage(uuid.NewString(), []byte(payload))
}
