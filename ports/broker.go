package ports

import (
	"context"
	"fmt"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Metadata keys of a message: CloudEvents 1.0 in binary mode, and ours. The
// message's UUID is the outbox id, its payload the job's data.
const (
	MetaSpecVersion = "ce_specversion" // always CloudEventsVersion
	MetaID          = "ce_id"          // the outbox id
	MetaType        = "ce_type"        // "lectern.job." and the queue's name
	MetaSource      = "ce_source"      // always MessageSource
	MetaSubject     = "ce_subject"     // the course id: the key that orders messages
	MetaTime        = "ce_time"        // RFC 3339, when the entry was created
	MetaContentType = "content-type"   // always "application/json"
	MetaTraceParent = "traceparent"    // W3C; absent when there is no trace
	MetaRun         = "run"            // the course's run, decimal
	MetaAttempt     = "attempt"        // the worker's attempts before this one, decimal
	MetaMaxAttempts = "max-attempts"   // how many the job may have, decimal; 0 means the config's
	MetaPriority    = "priority"       // that the job had in the outbox, 0 to 9; absent when it is 0
)

// Metadata keys that a dead letter has besides those of the message it was.
const (
	MetaDeadReason = "dead-reason" // why nobody could handle it
	MetaDeadTopic  = "dead-topic"  // where it was
	MetaDeadGroup  = "dead-group"  // who gave it up
	MetaDeadTime   = "dead-time"   // RFC 3339
	MetaDeadOrigin = "dead-origin" // its place on the broker, where an adapter gave it up
)

// Fixed values of a message's metadata.
const (
	CloudEventsVersion = "1.0"
	MessageSource      = "/lectern/outbox"
	MessageTypePrefix  = "lectern.job."
	ContentTypeJSON    = "application/json"
)

// The consumer groups. Each sees every message; the consumers of one share them.
const (
	GroupWorkers = "workers" // does the work
	GroupBackup  = "backup"  // layer 2: watches for jobs of courses still pending
	GroupDead    = "dead"    // keeps the dead letters; consumes no other topic
)

// DeadTopic names the topic of what nobody could handle of a topic. It has none
// of its own: see IsDeadTopic.
func DeadTopic(topic string) string { return topic + "_dead" }

// Broker carries messages from the relay to the workers, at least once.
//
// Order is kept per topic and subject, for first deliveries, while a group has
// one consumer.
type Broker interface {
	// Publisher publishes a batch of one topic. When it returns nil, every
	// message is safe; else the error is a *PublishError.
	message.Publisher

	// Subscriber returns a new consumer of a group, which the caller closes.
	// Its Subscribe may be called once a topic. A nack brings the message
	// back after a growing delay, and the death of its consumer in time, until
	// it was handed out max_deliveries times (an option of each broker): then it
	// becomes a dead letter (DeadTopic), as PublishDead makes them,
	// MetaDeadOrigin included. What a closing consumer gives back that it had
	// in advance does not count. (A death may go uncounted while a message before
	// it is unsettled.) So does at once, byte for byte, what is on the wire and
	// can't be read as a message. Neither holds up any other.
	Subscriber(group string) (message.Subscriber, error)

	// Prepare makes sure that topics and groups exist, and each topic's
	// DeadTopic with GroupDead; a message published after it reaches each of
	// the groups. It may be called again at any time.
	Prepare(ctx context.Context, topics, groups []string) error

	// Topics reports what there is of topics and groups, in the order given,
	// and changes nothing. The dead-letter topics are not among them unless
	// they are named.
	Topics(ctx context.Context, topics, groups []string) ([]TopicState, error)

	// MaxMessageBytes is the largest payload that Publish accepts.
	MaxMessageBytes() int

	// Ping returns an error while the broker can't be reached.
	Ping(ctx context.Context) error
}

// TopicState is what a broker has of a topic.
type TopicState struct {
	Topic  string
	Exists bool
	Detail string // what the broker calls it, and how it is laid out; for people
	Groups []GroupState
}

// GroupState is what a broker has of a group on a topic.
type GroupState struct {
	Group   string
	Exists  bool
	Pending int64 // messages that the group has yet to settle, those in hand too
}

// PublishFailure says why a message was not published.
type PublishFailure int

// The failures.
const (
	// Unavailable: the broker could not be reached, or has lost a topic that it
	// had; nobody's attempt is spent.
	Unavailable PublishFailure = iota + 1
	// Retryable: this message failed, and may succeed later.
	Retryable
	// Refused: this message will never be accepted.
	Refused
)

// String returns the failure's name.
func (f PublishFailure) String() string {
	switch f {
	case Unavailable:
		return "unavailable"
	case Retryable:
		return "retryable"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// PublishError says which messages of a batch were not published. A message
// that it does not name was published.
type PublishError struct {
	Failed map[string]MessageError // by message UUID
}

// MessageError is one message's failure.
type MessageError struct {
	Failure PublishFailure
	Err     error
}

// Error implements error.
func (e *PublishError) Error() string {
	parts := make([]string, 0, 3)
	for uuid, m := range e.Failed {
		if len(parts) == 3 {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, fmt.Sprintf("%s %v: %v", uuid, m.Failure, m.Err))
	}
	return fmt.Sprintf("publish: %d messages failed: %s", len(e.Failed), strings.Join(parts, "; "))
}

// Unwrap returns the causes.
func (e *PublishError) Unwrap() []error {
	errs := make([]error, 0, len(e.Failed))
	for _, m := range e.Failed {
		errs = append(errs, m.Err)
	}
	return errs
}

// NewPublishError fails every message of a batch alike.
func NewPublishError(failure PublishFailure, err error, msgs ...*message.Message) *PublishError {
	failed := make(map[string]MessageError, len(msgs))
	for _, m := range msgs {
		failed[m.UUID] = MessageError{failure, err}
	}
	return &PublishError{Failed: failed}
}
