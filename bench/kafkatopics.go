package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/ports"
)

// topic returns a new one, of which both clients know where it is.
func (k *kafka) topic(ctx context.Context) (string, error) {
	topic := fmt.Sprintf("topic-%d", len(k.topics))
	if err := k.broker.Prepare(ctx, []string{topic}, nil); err != nil {
		return "", err
	}
	k.topics = append(k.topics, topic)
	if err := k.broker.Publish(topic, jobs(1)...); err != nil {
		return "", err
	}
	return topic, k.produce(ctx, topic, 1)
}

// produce publishes n jobs in batches, by the peer's client.
func (k *kafka) produce(ctx context.Context, topic string, n int) error {
	for ; n > 0; n -= batch {
		rs := records(k.prefix+topic, min(n, batch))
		if err := k.client.ProduceSync(ctx, rs...).FirstErr(); err != nil {
			return fmt.Errorf("produce: %w", err)
		}
	}
	return nil
}

// records are n jobs as the adapter would write them, made by hand.
func records(topic string, n int) []*kgo.Record {
	rs := make([]*kgo.Record, n)
	for i, m := range jobs(n) {
		rs[i] = record(topic, m)
	}
	return rs
}

func record(topic string, m *message.Message) *kgo.Record {
	r := &kgo.Record{Topic: topic, Key: []byte(m.Metadata.Get(ports.MetaSubject)), Value: m.Payload}
	r.Headers = make([]kgo.RecordHeader, 0, len(m.Metadata)+1)
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: "_watermill_message_uuid", Value: []byte(m.UUID)})
	for key, value := range m.Metadata {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	return r
}

// deleteTopics deletes all topics, with the dead letters'.
func (k *kafka) deleteTopics(ctx context.Context) error {
	var names []string
	for _, topic := range k.topics {
		names = append(names, k.prefix+topic, k.prefix+ports.DeadTopic(topic))
	}
	if len(names) == 0 {
		return nil
	}
	deleted, err := kadm.NewClient(k.client).DeleteTopics(ctx, names...)
	return errors.Join(err, deleted.Error())
}
