package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"lectern/bench/compare"
	"lectern/ports"
)

// batch is how many messages are published at once.
const batch = 500

// group consumes what is measured.
const group = "bench"

// address returns that of a server which with-stack starts.
func address(variable string) (string, error) {
	if a := os.Getenv(variable); a != "" {
		return a, nil
	}
	return "", fmt.Errorf("%s is not set: run `make bench`, which starts the server", variable)
}

// jobs are as the relay publishes them, each of a course of its own.
func jobs(n int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		m := message.NewMessage(uuid.NewString(), []byte(`{"course_id":"0190f5fe-7c00-7a00-8000-0123456789ab","run":1}`))
		m.Metadata = message.Metadata{
			ports.MetaSpecVersion: ports.CloudEventsVersion,
			ports.MetaID:          m.UUID,
			ports.MetaType:        ports.MessageTypePrefix + "structure-analysis",
			ports.MetaSource:      ports.MessageSource,
			ports.MetaSubject:     uuid.NewString(),
			ports.MetaTime:        "2026-11-05T10:20:30.123456789Z",
			ports.MetaContentType: ports.ContentTypeJSON,
			ports.MetaRun:         "1",
		}
		msgs[i] = m
	}
	return msgs
}

// publishBatches publishes a batch of new jobs in each operation.
func publishBatches(meter *compare.Meter, broker ports.Broker, topic string) compare.Op {
	return func(context.Context, int) error {
		msgs := jobs(batch)
		return meter.Time(batch, func() error { return broker.Publish(topic, msgs...) })
	}
}

// consumeBacklog acknowledges a topic's n messages at once, in a group that
// exists. The clock runs from the first to when the broker knows of the last:
// to join a group is what nobody waits for. What came along with the first
// counts, though it was there already: a fetch of many.
func consumeBacklog(ctx context.Context, meter *compare.Meter, broker ports.Broker, group, topic string, n int) error {
	sub, err := broker.Subscriber(group)
	if err != nil {
		return err
	}
	msgs, err := sub.Subscribe(ctx, topic)
	if err != nil {
		return errors.Join(err, sub.Close())
	}
	first, ok := <-msgs
	if !ok {
		return errors.Join(ctx.Err(), sub.Close())
	}
	return meter.Time(n-1, func() error {
		first.Ack()
		return errors.Join(ackAll(msgs, n-1), sub.Close())
	})
}

func ackAll(msgs <-chan *message.Message, n int) error {
	for range n {
		m, ok := <-msgs
		if !ok {
			return errors.New("the subscription ended early")
		}
		m.Ack()
	}
	return nil
}
