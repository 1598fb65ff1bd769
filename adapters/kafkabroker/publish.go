package kafkabroker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/ports"
)

// publishOptions are those of the client that publishes. By default it is
// idempotent, and waits for all replicas in sync.
//
// An idempotent producer would rather wait for ever than forget a record whose
// fate it does not know. Ours may forget it: who publishes is told in time, and
// tries again, and a message that is doubled by that is what inboxes are for.
func publishOptions(o Options) []kgo.Opt {
	return []kgo.Opt{
		kgo.AllowIdempotentProduceCancellation(),
		kgo.RecordDeliveryTimeout(max(o.Timeout*9/10, time.Second)), // before Publish's own, which can't tell what went wrong
		kgo.ProduceRequestTimeout(max(o.Timeout/2, 100*time.Millisecond)),
		kgo.UnknownTopicRetries(1), // one look may be at a broker that has not heard of it yet
		kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(int32(o.topicBytes())),               //nolint:gosec // far below 2 GiB
		kgo.BrokerMaxWriteBytes(max(100<<20, int32(o.topicBytes())*2)), //nolint:gosec // as above
	}
}

// Publish implements message.Publisher. The batch goes as one, within the
// timeout; what fails of it is named.
func (b *Broker) Publish(topic string, msgs ...*message.Message) error {
	if b.isClosed() {
		return ports.NewPublishError(ports.Unavailable, errClosed, msgs...).OrNil()
	}
	return b.publish(b.opts.MaxMessageBytes, topic, msgs)
}

// letters publishes dead letters, to the end of a closing broker too, and
// whatever size somebody else's message has, if the dead topic accepts it.
type letters struct{ *Broker }

// Publish implements message.Publisher.
func (l letters) Publish(topic string, msgs ...*message.Message) error {
	return l.publish(maxPayload, topic, msgs)
}

func (b *Broker) publish(limit int, topic string, msgs []*message.Message) error {
	fit, failed := ports.CheckBatch(limit, msgs)
	ctx, cancel := context.WithTimeout(context.Background(), b.opts.Timeout)
	defer cancel()
	errs := b.produce(ctx, topic, fit)
	if len(errs) < len(fit) {
		b.know(topic)
	}
	for m, err := range errs {
		failure, err := b.explain(topic, err)
		failed.Add(failure, fmt.Errorf("publish to %q: %w", topic, err), m)
	}
	return failed.OrNil()
}

// produce returns what failed. A broker refuses a batch that is too large as a
// whole (when its topic accepts less than Prepare saw to), however small most of
// it is: then each message is tried alone.
func (b *Broker) produce(ctx context.Context, topic string, msgs []*message.Message) map[*message.Message]error {
	records := toRecords(b.opts.topicName(topic), msgs)
	results := b.client.ProduceSync(ctx, records...)
	if results.FirstErr() == nil {
		return nil
	}
	errs := make(map[*kgo.Record]error, len(results)) // they come in an order of their own
	for _, result := range results {
		errs[result.Record] = result.Err
	}
	failed := map[*message.Message]error{}
	for i, m := range msgs {
		switch err := errs[records[i]]; {
		case err == nil:
		case errors.Is(err, kerr.MessageTooLarge) && len(msgs) > 1:
			maps.Copy(failed, b.produce(ctx, topic, []*message.Message{m}))
		default:
			failed[m] = err
		}
	}
	return failed
}

// explain classifies the error of a message. A topic that was there, and is not,
// is no message's fault: it was deleted, or the brokers have lost their data.
func (b *Broker) explain(topic string, err error) (ports.PublishFailure, error) {
	name := b.opts.topicName(topic)
	switch {
	case errors.Is(err, kerr.UnknownTopicID): // it was made again, which the library does not put up with
		b.client.PurgeTopicsFromProducing(name)
	case !errors.Is(err, kerr.UnknownTopicOrPartition):
		return classify(err), err
	}
	if b.knows(topic) {
		return ports.Unavailable, fmt.Errorf("the topic %s is gone: register topic and groups with Prepare again: %w", name, err)
	}
	return ports.Refused, fmt.Errorf("there is no topic %s: register topic and groups with Prepare: %w", name, err)
}

// classify tells how a message failed. Only what the broker says of the message
// or its topic is final; what may be a lack of permission is the operator's fault,
// and no reason to give up a single message.
func classify(err error) ports.PublishFailure {
	for _, refusal := range []error{
		kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidTopicException, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID,
	} {
		if errors.Is(err, refusal) {
			return ports.Refused
		}
	}
	for _, notPermitted := range []error{
		kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.SaslAuthenticationFailed,
	} {
		if errors.Is(err, notPermitted) {
			return ports.Unavailable
		}
	}
	var answer *kerr.Error
	if errors.As(err, &answer) && !answer.Retriable {
		return ports.Retryable
	}
	return ports.Unavailable // a timeout, no connection, no leader, too few replicas
}
