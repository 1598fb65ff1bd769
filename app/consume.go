package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"lectern/domain"
	"lectern/ports"
)

// OldBroker is a broker that is being replaced: its jobs are worked off, and no
// more go to it.
type OldBroker struct {
	Name string // for the log
	ports.Broker
}

// consumer takes the jobs of a group.
type consumer struct {
	group   string
	limit   int // of one queue in hand at once, from each broker
	handle  func(context.Context, domain.Queue, *message.Message)
	backoff Backoff
	now     func() time.Time
	log     *slog.Logger
}

// persist is once for a broker that the service can go on without: a
// subscription that breaks off is logged, and taken up again after a delay.
func (c consumer) persist(ctx context.Context, broker ports.Broker, what string) {
	failures := 0
	for {
		began := c.now()
		err := c.once(ctx, broker)
		if ctx.Err() != nil {
			c.log.DebugContext(ctx, what+" stopped", "error", err)
			return
		}
		failures++
		if c.now().Sub(began) > c.backoff.Max {
			failures = 1 // it had recovered from those before
		}
		delay := c.backoff.Delay(failures)
		c.log.WarnContext(ctx, what+" broke off", "error", err, "failures", failures, "retry_in", delay)
		wait(ctx, delay, nil)
	}
}

// once is one consumer of the group on every queue, until ctx ends: handle
// settles each message. What is in hand then goes on, until the broker gives it
// up (after its close_timeout): the message's context ends with that. It returns early, and with an error, only when a queue
// can't be subscribed to, or its subscription breaks off.
func (c consumer) once(ctx context.Context, broker ports.Broker) error {
	sub, err := broker.Subscriber(c.group)
	if err != nil {
		return fmt.Errorf("make subscriber: %w", err)
	}
	queues, ctx := errgroup.WithContext(ctx)
	for _, queue := range domain.Queues() {
		// When one fails, the group's context ends the others.
		queues.Go(func() error { return c.consume(ctx, sub, queue) })
	}
	return errors.Join(queues.Wait(), sub.Close())
}

func (c consumer) consume(ctx context.Context, sub message.Subscriber, queue domain.Queue) error {
	msgs, err := sub.Subscribe(ctx, string(queue))
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", queue, err)
	}
	var jobs errgroup.Group
	jobs.SetLimit(c.limit)
	for msg := range msgs {
		jobs.Go(func() error { //nolint:contextcheck // what is in hand may outlive ctx
			c.handle(msg.Context(), queue, msg)
			return nil
		})
	}
	if err := jobs.Wait(); err != nil {
		return err
	}
	if ctx.Err() == nil {
		return fmt.Errorf("consume %s: the broker ended the subscription", queue)
	}
	return nil
}
