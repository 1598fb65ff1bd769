package natsbroker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"
)

// unseen is the note of how often each of a group's messages on a topic was
// delivered, but given back without having been handed out. The server counts
// deliveries alone, and a message must not be given up for these.
//
// It is the only message of its subject: a closing consumer puts a new one in
// its place, if nobody else has done so meanwhile.
type unseen struct {
	js      jetstream.JetStream
	stream  jetstream.Stream
	subject string
	durable durable
}

// unseenPlace is the stream that has the notes of all topics and groups.
func (o Options) unseenPlace() place {
	at, _ := o.place("_unseen") // its name is one
	return place{at.subject + ".*.*", at.stream}
}

func (b *Broker) prepareUnseen(ctx context.Context) error {
	at := b.opts.unseenPlace()
	_, err := b.ensureStream(ctx, at, jetstream.StreamConfig{
		Name:              at.stream,
		Subjects:          []string{at.subject},
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		MaxMsgsPerSubject: 1,
		Replicas:          b.opts.Replicas,
	})
	if err != nil {
		return b.unreached(err)
	}
	return nil
}

func (b *Broker) unseenOf(ctx context.Context, d durable) (*unseen, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	at := b.opts.unseenPlace()
	stream, err := b.js.Stream(ctx, at.stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("there is no stream %s: make it with Prepare", at.stream)
	case err != nil:
		return nil, b.unreached(err)
	}
	subject := b.opts.TopicPrefix + "_unseen." + d.stream + "." + d.name
	return &unseen{js: b.js, stream: stream, subject: subject, durable: d}, nil
}

// counts returns the note, by the messages' sequences, and its own sequence.
func (u *unseen) counts(ctx context.Context) (counts map[uint64]int, noted uint64, err error) {
	note, err := u.stream.GetLastMsgForSubject(ctx, u.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return map[uint64]int{}, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read what was given back unseen: %w", err)
	}
	if err := json.Unmarshal(note.Data, &counts); err != nil {
		return nil, 0, fmt.Errorf("read what was given back unseen, message %d of its stream: %w", note.Sequence, err)
	}
	return counts, note.Sequence, nil
}

// add notes one time more of each message, and drops what is settled.
func (u *unseen) add(ctx context.Context, ds []*delivery) error {
	durable, err := u.js.Consumer(ctx, u.durable.stream, u.durable.name)
	if err != nil {
		return fmt.Errorf("note what is given back unseen: %w", err)
	}
	settled := durable.CachedInfo().AckFloor.Stream
	for {
		counts, noted, err := u.counts(ctx)
		if err != nil {
			return err
		}
		maps.DeleteFunc(counts, func(sequence uint64, _ int) bool { return sequence <= settled })
		for _, d := range ds {
			counts[d.sequence]++
		}
		err = u.replace(ctx, noted, counts)
		if err == nil {
			return nil
		}
		if !isOutdated(err) {
			return fmt.Errorf("note what is given back unseen: %w", err)
		}
	}
}

func (u *unseen) replace(ctx context.Context, noted uint64, counts map[uint64]int) error {
	note, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	_, err = u.js.Publish(ctx, u.subject, note, jetstream.WithExpectLastSequencePerSubject(noted))
	return err
}

// isOutdated tells whether somebody else was first.
func isOutdated(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
