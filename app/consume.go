package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"lectern/domain"
	"lectern/ports"
)

// consume is one consumer of a group on every queue, until ctx ends: handle
// settles each message, up to limit of a queue at once. It returns early, and
// with an error, only when a queue can't be subscribed to, or its subscription
// breaks off.
func consume(
	ctx context.Context, broker ports.Broker, group string, limit int,
	handle func(context.Context, domain.Queue, *message.Message),
) error {
	sub, err := broker.Subscriber(group)
	if err != nil {
		return fmt.Errorf("make subscriber: %w", err)
	}
	queues, ctx := errgroup.WithContext(ctx)
	for _, queue := range domain.Queues() {
		// When one fails, the group's context ends the others.
		queues.Go(func() error {
			msgs, err := sub.Subscribe(ctx, string(queue))
			if err != nil {
				return fmt.Errorf("subscribe to %s: %w", queue, err)
			}
			var jobs errgroup.Group
			jobs.SetLimit(limit)
			for msg := range msgs {
				jobs.Go(func() error {
					handle(ctx, queue, msg)
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
		})
	}
	return errors.Join(queues.Wait(), sub.Close())
}
