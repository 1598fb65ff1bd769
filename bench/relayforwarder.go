package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"lectern/bench/compare"
)

// bestBatch is the forwarder's SubscribeBatchSize that was fastest here, of 100 (its
// default), 1,000, 10,000 and 100,000: the whole backlog, which its query sorts
// for each batch anew. To Redis they were 1,700, 5,900, 7,900 and 9,300 entries/s.
const bestBatch = 100_000

// forwarding is one comparison with Watermill's forwarder.
type forwarding struct {
	relays int
	batch  int // the forwarder's; 0 is its default
	turns  int // 0 is one: its drains take long
	goal   float64
}

func (r *relays) againstForwarder(to target, f forwarding) compare.Bench {
	var meter compare.Meter
	name, against := "relay to "+to.name, "Watermill's forwarder at its defaults"
	if f.relays == fourLeases {
		name += ", four leases"
	}
	if f.batch > 0 {
		against = fmt.Sprintf("Watermill's forwarder at its best batch size, %d", f.batch)
	}
	return compare.Bench{
		Name:    name + ", against " + against,
		Against: against,
		Goal:    compare.AtLeast(f.goal),
		Measure: meter.Rate("entries/s"),
		Ops:     1,
		Turns:   max(f.turns, 1),
		Ours:    r.drains(&meter, to, f.relays),
		Peer:    r.forwards(&meter, to, f.batch),
	}
}

// forwards drains by the stock forwarder, as its docs set it up
// (watermill.io/advanced/forwarder): the SQL subscriber with its default schema
// and offsets, a router, the broker's stock publisher. Each drain has tables of its own.
func (r *relays) forwards(meter *compare.Meter, to target, batchSize int) compare.Side {
	return func(context.Context, int) (compare.Op, error) {
		return func(ctx context.Context, _ int) (err error) {
			topic, err := to.topic(ctx)
			if err != nil {
				return err
			}
			table := "outbox_" + uuid.NewString()
			db := stdlib.OpenDBFromPool(r.pg.peer)
			defer func() { err = errors.Join(err, db.Close()) }()
			sub, err := sql.NewSubscriber(db, sql.SubscriberConfig{
				SchemaAdapter:    sql.DefaultPostgreSQLSchema{SubscribeBatchSize: batchSize},
				OffsetsAdapter:   sql.DefaultPostgreSQLOffsetsAdapter{},
				InitializeSchema: true,
			}, watermill.NopLogger{})
			if err != nil {
				return fmt.Errorf("make Watermill's subscriber: %w", err)
			}
			if err := sub.SubscribeInitialize(table); err != nil {
				return fmt.Errorf("make Watermill's tables: %w", err)
			}
			if err := r.fillForwarder(ctx, table, to.called(topic)); err != nil {
				return err
			}
			if err := r.pg.settle(ctx); err != nil {
				return err
			}
			err = r.forward(ctx, meter, to, sub, table)
			return errors.Join(err, r.dropForwarder(ctx, table), to.drop(ctx, topic))
		}, nil
	}
}

// forward times the forwarder, from when it runs until the last message is
// published: of what it records afterwards nothing counts.
func (r *relays) forward(ctx context.Context, meter *compare.Meter, to target, sub message.Subscriber, table string) (err error) {
	stock, err := to.stock()
	if err != nil {
		return fmt.Errorf("make Watermill's publisher: %w", err)
	}
	defer func() { err = errors.Join(err, stock.Close()) }()
	published := newTally()
	f, err := forwarder.NewForwarder(sub, talliedPublisher{stock, published}, watermill.NopLogger{}, forwarder.Config{ForwarderTopic: table})
	if err != nil {
		return fmt.Errorf("make Watermill's forwarder: %w", err)
	}
	ran := make(chan error, 1)
	err = meter.Time(r.entries, func() error {
		ctx, cancel := context.WithTimeout(ctx, drainTimeout)
		defer cancel()
		return published.wait(ctx, r.entries, func() { go func() { ran <- f.Run(context.WithoutCancel(ctx)) }() })
	})
	return errors.Join(err, f.Close(), <-ran)
}

// talliedPublisher counts what was published.
type talliedPublisher struct {
	message.Publisher
	tally *tally
}

// Publish implements message.Publisher.
func (p talliedPublisher) Publish(topic string, msgs ...*message.Message) error {
	err := p.Publisher.Publish(topic, msgs...)
	if err == nil {
		p.tally.add(len(msgs))
	}
	return err
}

// envelopes keeps what forwarder.Publisher would insert.
type envelopes struct{ msgs []*message.Message }

// Publish implements message.Publisher.
func (e *envelopes) Publish(_ string, msgs ...*message.Message) error {
	e.msgs = append(e.msgs, msgs...)
	return nil
}

// Close implements message.Publisher.
func (*envelopes) Close() error { return nil }

// fillForwarder inserts what the forwarder's own publisher would, each message
// as if in a transaction of its own.
func (r *relays) fillForwarder(ctx context.Context, table, topic string) error {
	var kept envelopes
	if err := forwarder.NewPublisher(&kept, forwarder.PublisherConfig{ForwarderTopic: table}).Publish(topic, r.messages(r.entries)...); err != nil {
		return fmt.Errorf("make envelopes: %w", err)
	}
	first, err := r.burnTransactions(ctx, r.entries)
	if err != nil {
		return err
	}
	_, err = r.pg.peer.CopyFrom(ctx, pgx.Identifier{"peer", "watermill_" + table}, []string{"uuid", "payload", "metadata", "transaction_id"},
		pgx.CopyFromSlice(len(kept.msgs), func(i int) ([]any, error) {
			m := kept.msgs[i]
			metadata, err := json.Marshal(m.Metadata)
			return []any{m.UUID, json.RawMessage(m.Payload), json.RawMessage(metadata), first + uint64(i)}, err
		}))
	if err != nil {
		return fmt.Errorf("fill Watermill's table: %w", err)
	}
	return nil
}

// messages are as the relay makes them of entries.
func (r *relays) messages(n int) []*message.Message {
	msgs := jobs(n)
	for i, m := range msgs {
		course := r.courses[i%len(r.courses)].String()
		m.Metadata["ce_subject"] = course
		m.Payload = filled(course)
	}
	return msgs
}

// burnTransactions spends n transaction ids and returns the first of them.
func (r *relays) burnTransactions(ctx context.Context, n int) (uint64, error) {
	var last uint64
	if err := r.pg.admin.QueryRow(ctx, `select pg_current_xact_id()`).Scan(&last); err != nil {
		return 0, fmt.Errorf("read transaction id: %w", err)
	}
	_, err := r.pg.admin.Exec(ctx, fmt.Sprintf(`do $$ begin for i in 1..%d loop perform pg_current_xact_id(); commit; end loop; end $$`, n))
	if err != nil {
		return 0, fmt.Errorf("spend transaction ids: %w", err)
	}
	return last + 1, nil
}

func (r *relays) dropForwarder(ctx context.Context, table string) error {
	_, err := r.pg.admin.Exec(ctx, fmt.Sprintf(`drop table peer."watermill_%[1]s", peer."watermill_offsets_%[1]s"`, table))
	if err != nil {
		return fmt.Errorf("drop Watermill's tables: %w", err)
	}
	return nil
}
