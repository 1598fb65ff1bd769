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

// publishBatches publishes the same batch in each operation, so that nothing is
// measured of how messages are made, and of what that leaves to collect.
func publishBatches(meter *compare.Meter, broker ports.Broker, topic string, msgs []*message.Message) compare.Op {
	return func(context.Context, int) error {
		return meter.Time(len(msgs), func() error { return broker.Publish(topic, msgs...) })
	}
}

// fill publishes n jobs to a topic.
func fill(broker ports.Broker, topic string, n int) error {
	for ; n > 0; n -= batch {
		if err := broker.Publish(topic, jobs(min(n, batch))...); err != nil {
			return err
		}
	}
	return nil
}

// consumeBacklog acknowledges n messages at once. The clock starts when the
// group is joined and the backlog is there, of which the consumer had no room to
// take more in advance than it does beside a slow handler. It stops with the last
// acknowledgement: what of these is still on its way to the broker, Redis hears
// in less than a millisecond, and Kafka with the next commit, as of the peer.
func consumeBacklog(ctx context.Context, meter *compare.Meter, broker ports.Broker, topic string, n int) (err error) {
	sub, err := broker.Subscriber(group)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sub.Close()) }()
	msgs, err := sub.Subscribe(ctx, topic)
	if err != nil {
		return err
	}
	first, err := receiveOne(broker, topic, msgs)
	if err != nil {
		return err
	}
	if err := fill(broker, topic, n); err != nil {
		return err
	}
	return meter.Time(n, func() error {
		first.Ack()
		return ackAll(msgs, n)
	})
}

// receiveOne returns a message that is not settled: who has it has joined.
func receiveOne(broker ports.Broker, topic string, msgs <-chan *message.Message) (*message.Message, error) {
	if err := fill(broker, topic, 1); err != nil {
		return nil, err
	}
	first, ok := <-msgs
	if !ok {
		return nil, errEnded()
	}
	return first, nil
}

func ackAll(msgs <-chan *message.Message, n int) error {
	for range n {
		m, ok := <-msgs
		if !ok {
			return errEnded()
		}
		m.Ack()
	}
	return nil
}

func errEnded() error { return errors.New("the subscription ended early") }
