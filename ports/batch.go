package ports

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
)

// CheckBatch parts a batch into what may be published and what every broker
// refuses beforehand: a payload larger than limit bytes, and an id or metadata
// that is not UTF-8 or holds a zero byte. Order is kept; the error names the
// refused messages and is never nil, though it may be empty.
func CheckBatch(limit int, msgs []*message.Message) ([]*message.Message, *PublishError) {
	fit, refused := make([]*message.Message, 0, len(msgs)), NewPublishError(Refused, nil)
	var texts []byte
	for _, m := range msgs {
		texts = appendTexts(texts[:0], m)
		if err := checkMessage(limit, m, texts); err != nil {
			refused.Add(Refused, err, m)
			continue
		}
		fit = append(fit, m)
	}
	return fit, refused
}

func checkMessage(limit int, m *message.Message, texts []byte) error {
	if size := len(m.Payload); size > limit {
		return fmt.Errorf("payload has %d bytes; the broker accepts %d: raise max_message_bytes or send less", size, limit)
	}
	if bytes.IndexByte(texts, 0) >= 0 || !utf8.Valid(texts) {
		return errors.New("id and metadata must be UTF-8 without zero bytes")
	}
	return nil
}

// appendTexts appends what must be text, for one look at all of it: a look at
// each would take a tenth of the time of publishing a batch. Between two stands
// a line's end, lest halves of a character make a whole.
func appendTexts(to []byte, m *message.Message) []byte {
	to = append(append(to, m.UUID...), '\n')
	for k, v := range m.Metadata {
		to = append(append(to, k...), '\n')
		to = append(append(to, v...), '\n')
	}
	return to
}

// Add names more messages that failed, alike.
func (e *PublishError) Add(failure PublishFailure, err error, msgs ...*message.Message) {
	for _, m := range msgs {
		e.Failed[m.UUID] = MessageError{failure, err}
	}
}

// OrNil returns nil when no message failed.
func (e *PublishError) OrNil() error {
	if len(e.Failed) == 0 {
		return nil
	}
	return e
}
