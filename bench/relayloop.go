package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"lectern/bench/compare"
)

// The loop is the yardstick of what a relay costs beside its statements: no
// leases, no fence, no cursor rule (it would lose what slow writers commit), no
// broker. It is fixed: a change of the relay is no reason to change it.
const (
	loopClaim = `select outbox_id, seq, entity_id, run, queue_name, job_data, job_options, created_at, attempts
		from lectern.job_outbox
		where processed_at is null and dead_at is null and parked is null and seq > $1
		order by seq limit 500`
	loopSettle = `update lectern.job_outbox set processed_at = now()
		where seq = any ($1) and processed_at is null and dead_at is null and parked is null`
)

// loopEntry is what the loop reads of an entry.
type loopEntry struct {
	id, course    uuid.UUID
	seq           int64
	run, attempts int
	queue         string
	data, options json.RawMessage
	createdAt     time.Time
}

// loop claims and settles n entries on one connection.
func loop(ctx context.Context, conn *pgx.Conn, n int) error {
	cursor := int64(0)
	entries, seqs := make([]loopEntry, 0, batch), make([]int64, 0, batch)
	for left := n; left > 0; left -= len(seqs) {
		rows, err := conn.Query(ctx, loopClaim, cursor)
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		entries, seqs = entries[:0], seqs[:0]
		for rows.Next() {
			var e loopEntry
			if err := rows.Scan(&e.id, &e.seq, &e.course, &e.run, &e.queue, &e.data, &e.options, &e.createdAt, &e.attempts); err != nil {
				return fmt.Errorf("scan: %w", err)
			}
			entries, seqs = append(entries, e), append(seqs, e.seq)
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		if len(seqs) == 0 {
			return errors.New("the loop found too few entries")
		}
		if _, err := conn.Exec(ctx, loopSettle, seqs); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		cursor = seqs[len(seqs)-1]
	}
	return nil
}

// loopTurns is how often each side drains, in turns with the other.
const loopTurns = 3

// unpublished measures what the relay adds to its statements.
func (r *relays) unpublished() compare.Bench {
	b := r.againstLoopOf(toNowhere(), asShipped())
	b.Name = "relay, publishing left out"
	return b
}

func (r *relays) againstLoop(to target) compare.Bench {
	b := r.againstLoopOf(to, fourLeases)
	b.Name = fmt.Sprintf("relay to %s, four leases", to.name)
	return b
}

func (r *relays) againstLoopOf(to target, relays int) compare.Bench {
	var meter compare.Meter
	return compare.Bench{
		Against: "a fixed claim-and-settle loop, nothing published",
		Goal:    compare.AtLeast(0.8),
		Measure: meter.Rate("entries/s"),
		Ops:     1,
		Turns:   loopTurns,
		Ours:    r.drains(&meter, to, relays),
		Peer:    r.loops(&meter),
	}
}

// drains fills the outbox and has relays drain it, which alone is timed.
func (r *relays) drains(meter *compare.Meter, to target, relays int) compare.Side {
	return func(ctx context.Context, _ int) (compare.Op, error) {
		return func(ctx context.Context, _ int) (err error) {
			topic, err := to.topic(ctx)
			if err != nil {
				return err
			}
			l, err := r.startLanes(ctx, to.broker(), relays)
			if err != nil {
				return err
			}
			defer l.stop()
			err = r.timeFilled(ctx, meter, topic, func() error { return l.drain(ctx, r.entries) })
			return errors.Join(err, to.drop(ctx, topic))
		}, r.emptyOutbox(ctx)
	}
}

// loops has the loop drain what the relay would.
func (r *relays) loops(meter *compare.Meter) compare.Side {
	return func(context.Context, int) (compare.Op, error) {
		return func(ctx context.Context, _ int) error {
			conn, err := r.pool.Acquire(ctx)
			if err != nil {
				return fmt.Errorf("connect the loop: %w", err)
			}
			defer conn.Release()
			return r.timeFilled(ctx, meter, "nowhere", func() error { return loop(ctx, conn.Conn(), r.entries) })
		}, nil
	}
}

// timeFilled times what drains a full outbox, whose server is at rest.
func (r *relays) timeFilled(ctx context.Context, meter *compare.Meter, topic string, drain func() error) error {
	if err := r.fillOutbox(ctx, topic, r.entries); err != nil {
		return err
	}
	if err := r.pg.settle(ctx); err != nil {
		return err
	}
	if err := meter.Time(r.entries, drain); err != nil {
		return err
	}
	return r.expectDrained(ctx)
}
