package redisbroker

import (
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"lectern/ports"
)

// What the external tests see of the inside.

// Names of consumers that nobody is.
const (
	DelayedConsumer  = delayedConsumer
	ReturnedConsumer = returnedConsumer
)

// Classify is classify.
func Classify(err error) ports.PublishFailure { return classify(err) }

// DelayAfter is delay.
func (o Options) DelayAfter(deliveries int64) time.Duration { return o.delay(deliveries) }

// Encode is encode.
func Encode(m *message.Message) ([]any, error) { return newEncoder(1).encode(m) }

// CompareIDs is compareIDs.
func CompareIDs(a, b string) int { return compareIDs(a, b) }

// Trim trims a topic's stream.
func (b *Broker) Trim(ctx context.Context, topic string) error {
	return trim(ctx, b.client.Client, b.opts.stream(topic))
}

// ForgetTheDead deletes the names of a group's consumers that were idle for
// twice a lease.
func (b *Broker) ForgetTheDead(ctx context.Context, topic, group string, lease time.Duration) error {
	p := pending{client: b.client.Client, stream: b.opts.stream(topic), group: b.opts.group(group)}
	return p.forgetTheDead(ctx, lease)
}

// Nack stores, as a consumer of a topic's group, that it has nacked an entry when
// that was handed out for the nth time.
func (b *Broker) Nack(ctx context.Context, topic, group, consumer, id string, n int64) error {
	s := newSubscription(ctx, b, topic, group)
	defer s.finish()
	defer s.giveUp()
	defer s.stop()
	s.me = consumer
	return errors.Join(s.storeNacks(ctx, []settled{{&delivery{id: id, count: n}, nacked}}), s.reading.close())
}
