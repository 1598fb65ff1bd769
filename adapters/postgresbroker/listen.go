package postgresbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	relistenAfter = time.Second      // the pause after a failure
	probeAfter    = 30 * time.Second // of silence, to see that the connection lives
)

// listen wakes subscriptions when another process publishes, until ctx ends.
// Without it, behind PgBouncer for one, polling finds what was published.
func (b *Broker) listen(ctx context.Context) {
	for {
		err := b.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		b.log.Log(ctx, slog.LevelDebug, "Notifications interrupted, polling meanwhile", "error", err)
		select {
		case <-time.After(relistenAfter):
		case <-ctx.Done():
			return
		}
	}
}

func (b *Broker) listenOnce(ctx context.Context) error {
	conn, err := b.listener(ctx)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // it is of no use any more
	}()
	b.signals.wakeAll() // for what was published meanwhile
	for {
		topic, err := b.nextNotification(ctx, conn)
		if err != nil {
			return err
		}
		b.signals.wake(topic)
	}
}

func (b *Broker) listener(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, b.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, b.schema.in("LISTEN {schema}")); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// nextNotification returns a topic. Silence makes it see whether the
// connection lives.
func (b *Broker) nextNotification(ctx context.Context, conn *pgx.Conn) (string, error) {
	for {
		limited, cancel := context.WithTimeout(ctx, probeAfter)
		n, err := conn.WaitForNotification(limited)
		cancel()
		if err == nil {
			return n.Payload, nil
		}
		if ctx.Err() != nil || conn.IsClosed() {
			return "", err
		}
		limited, cancel = context.WithTimeout(ctx, b.opts.Timeout)
		err = conn.Ping(limited)
		cancel()
		if err != nil {
			return "", err
		}
	}
}
