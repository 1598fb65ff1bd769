package natsbroker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// A message's payload is the data, its id and metadata are headers, as the
// NATSMarshaler of watermill-nats has them. That loses what a header can't hold
// and lets metadata give orders to the server (Nats-Rollup, Nats-TTL), so what
// is not plain is in a header of its own, as a JSON object.
const (
	idHeader   = "_watermill_message_uuid"
	restHeader = "lectern-metadata"
)

func encode(subject string, m *message.Message) (*nats.Msg, error) {
	if !isPlainValue(m.UUID) {
		return nil, fmt.Errorf("the id %q must have no line's end, and no space around it", m.UUID)
	}
	header := make(nats.Header, len(m.Metadata)+1)
	header[idHeader] = []string{m.UUID}
	rest := map[string]string{}
	for key, value := range m.Metadata {
		if isPlainKey(key) && isPlainValue(value) {
			header[key] = []string{value}
		} else {
			rest[key] = value
		}
	}
	if len(rest) > 0 {
		encoded, err := json.Marshal(rest)
		if err != nil {
			return nil, fmt.Errorf("encode metadata: %w", err)
		}
		header[restHeader] = []string{string(encoded)}
	}
	return &nats.Msg{Subject: subject, Header: header, Data: m.Payload}, nil
}

// decode returns a message of its own memory, since a handler may change it.
func decode(m *nats.Msg) (*message.Message, error) {
	ids := m.Header[idHeader]
	if len(ids) != 1 {
		return nil, fmt.Errorf("it has %d headers %s, which names a message, and not one", len(ids), idHeader)
	}
	decoded := message.NewMessage(ids[0], bytes.Clone(m.Data))
	for key, values := range m.Header {
		switch {
		case key == idHeader || isServers(key):
		case len(values) != 1:
			return nil, fmt.Errorf("it has %d headers %s, and not one", len(values), key)
		case key == restHeader:
			rest := map[string]string{}
			if err := json.Unmarshal([]byte(values[0]), &rest); err != nil {
				return nil, fmt.Errorf("decode the header %s: %w", restHeader, err)
			}
			maps.Copy(decoded.Metadata, rest)
		default:
			decoded.Metadata[key] = values[0]
		}
	}
	return decoded, requireText(decoded)
}

// requireText keeps out what no broker would publish again as a dead letter.
func requireText(m *message.Message) error {
	texts := []string{m.UUID}
	for key, value := range m.Metadata {
		texts = append(texts, key, value)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return fmt.Errorf("its header %q is not UTF-8, or holds a zero byte", text)
		}
	}
	return nil
}

func isPlainKey(s string) bool {
	switch s {
	case "", idHeader, restHeader, "Status", "Description": // the last two are the client's
		return false
	}
	return !isServers(s) && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) < 0
}

func isPlainValue(s string) bool {
	return !strings.ContainsAny(s, "\r\n") && s == strings.Trim(s, " \t")
}

// isServers tells whether a header is between client and server.
func isServers(key string) bool {
	const prefix = "nats-"
	return len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix)
}
