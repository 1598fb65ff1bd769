package ports

import (
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// IsDeadTopic tells whether a topic holds dead letters. It has no DeadTopic, and
// nothing in it is given up.
func IsDeadTopic(topic string) bool { return strings.HasSuffix(topic, DeadTopic("")) }

// PublishDead publishes to the topic's DeadTopic what a group could not handle
// there: the message as it is, and in its metadata the reason and where it
// comes from. The message may be acknowledged when it returns nil.
func PublishDead(to message.Publisher, topic, group string, m *message.Message, reason string, now time.Time) error {
	dead := m.Copy()
	dead.Metadata.Set(MetaDeadReason, reason)
	dead.Metadata.Set(MetaDeadTopic, topic)
	dead.Metadata.Set(MetaDeadGroup, group)
	dead.Metadata.Set(MetaDeadTime, now.UTC().Format(time.RFC3339))
	if err := to.Publish(DeadTopic(topic), dead); err != nil {
		return fmt.Errorf("publish dead letter %s: %w", m.UUID, err)
	}
	return nil
}
