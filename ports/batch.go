package ports

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
)

// CheckBatch parts a batch into what may be published and what every broker
// refuses beforehand: a payload larger than limit bytes, and an id or metadata
// that is not UTF-8 or holds a zero byte. Order is kept; the error names the
// refused messages and is never nil, though it may be empty.
func CheckBatch(limit int, msgs []*message.Message) ([]*message.Message, *PublishError) {
	fit, refused := make([]*message.Message, 0, len(msgs)), NewPublishError(Refused, nil)
	for _, m := range msgs {
		if err := checkMessage(limit, m); err != nil {
			refused.Add(Refused, err, m)
			continue
		}
		fit = append(fit, m)
	}
	return fit, refused
}

func checkMessage(limit int, m *message.Message) error {
	if size := len(m.Payload); size > limit {
		return fmt.Errorf("payload has %d bytes; the broker accepts %d: raise max_message_bytes or send less", size, limit)
	}
	ok := isText(m.UUID)
	for key, value := range m.Metadata {
		ok = ok && isText(key) && isText(value)
	}
	if !ok {
		return errors.New("id and metadata must be UTF-8 without zero bytes")
	}
	return nil
}

func isText(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
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
