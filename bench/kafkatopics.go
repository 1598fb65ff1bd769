package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/ports"
)

// topic returns a new one, which the group consumes.
func (k *kafka) topic(ctx context.Context) (string, error) {
	k.topics++
	topic := fmt.Sprintf("topic-%d", k.topics)
	return topic, k.broker.Prepare(ctx, []string{topic}, []string{group})
}

// records are messages as the adapter would write them, made by hand.
func records(topic string, msgs []*message.Message) []*kgo.Record {
	rs := make([]*kgo.Record, len(msgs))
	for i, m := range msgs {
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

// deleteTopics deletes all topics of the prefix, with the dead letters'.
func (k *kafka) deleteTopics(ctx context.Context) error {
	admin := kadm.NewClient(k.client)
	all, err := admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	names := slices.DeleteFunc(all.Names(), func(name string) bool { return !strings.HasPrefix(name, k.prefix) })
	if len(names) == 0 {
		return nil
	}
	deleted, err := admin.DeleteTopics(ctx, names...)
	return errors.Join(err, deleted.Error())
}
