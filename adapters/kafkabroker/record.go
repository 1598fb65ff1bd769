package kafkabroker

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/ports"
)

// uuidHeader holds a message's UUID, as watermill-kafka does it, so that other
// Watermill services understand ours and we theirs.
const uuidHeader = "_watermill_message_uuid"

// toRecords keys messages by their subjects, so that what is of one course is in
// one partition, and in order. They share their memory: a batch is one anyway.
func toRecords(topic string, msgs []*message.Message) []*kgo.Record {
	headers := 0
	for _, m := range msgs {
		headers += 1 + len(m.Metadata)
	}
	b := recordBuilder{headers: make([]kgo.RecordHeader, 0, headers), texts: make([]byte, 0, headers*typicalText)}
	all, records := make([]kgo.Record, len(msgs)), make([]*kgo.Record, len(msgs))
	for i, m := range msgs {
		b.build(m, &all[i])
		all[i].Topic = topic
		records[i] = &all[i]
	}
	return records
}

// typicalText is how long a header's value is, about.
const typicalText = 32

// recordBuilder has room for all headers of a batch, and for their values unless
// these are long: then it makes more.
type recordBuilder struct {
	headers []kgo.RecordHeader
	texts   []byte
}

func (b *recordBuilder) build(m *message.Message, r *kgo.Record) {
	first := len(b.headers)
	b.add(uuidHeader, m.UUID)
	for k, v := range m.Metadata {
		value := b.add(k, v)
		if k == ports.MetaSubject && v != "" {
			r.Key = value
		}
	}
	r.Headers = b.headers[first:len(b.headers):len(b.headers)]
	if r.Value = m.Payload; r.Value == nil {
		r.Value = []byte{} // no value at all is a deletion, where logs are compacted
	}
}

func (b *recordBuilder) add(key, value string) []byte {
	from := len(b.texts)
	b.texts = append(b.texts, value...)
	text := b.texts[from:len(b.texts):len(b.texts)]
	b.headers = append(b.headers, kgo.RecordHeader{Key: key, Value: text})
	return text
}

// toMessage returns what a handler gets, and may change. A record without a UUID
// (not every producer is Watermill's) gets one that is the same each time.
func toMessage(r *kgo.Record) (*message.Message, error) {
	m := message.NewMessage("", bytes.Clone(r.Value))
	m.Metadata = make(message.Metadata, len(r.Headers))
	for _, h := range r.Headers {
		value := string(h.Value)
		switch {
		case !isText(h.Key) || !isText(value):
			return nil, fmt.Errorf("the header %q is not UTF-8, or holds a zero byte", h.Key)
		case h.Key == uuidHeader:
			m.UUID = value
		default:
			m.Metadata[h.Key] = value
		}
	}
	if len(m.Metadata) < len(r.Headers)-1 {
		return nil, errors.New("a header is there more than once")
	}
	if m.UUID == "" {
		m.UUID = uuid.NewSHA1(uuid.NameSpaceURL, []byte(origin(r))).String()
	}
	return m, nil
}

// fromUnreadable makes a message of a record that toMessage can't read.
func fromUnreadable(r *kgo.Record) *message.Message {
	return message.NewMessage(uuid.NewString(), bytes.Clone(r.Value))
}

// origin is a record's place on the broker.
func origin(r *kgo.Record) string {
	return fmt.Sprintf("topic %s, partition %d, offset %d", r.Topic, r.Partition, r.Offset)
}

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
