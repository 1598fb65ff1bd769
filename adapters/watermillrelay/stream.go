package watermillrelay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"lectern/ports"
)

// Options tune the stream.
type Options struct {
	BatchSize int // entries of one look at most
	// IdleTimeout is how long a look may send without a word to the database
	// before the server ends it: a frozen relay holds up the others so long.
	IdleTimeout time.Duration
}

// DefaultIdleTimeout is longer than a look is sent for and a publish takes.
const DefaultIdleTimeout = time.Minute

// answerTimeout is how long the server has for the statements of a look.
const answerTimeout = 25 * time.Second

// topic names the table for the subscriber, whose queries we make ourselves.
const topic = "job_outbox"

var _ ports.EntryStream = (*Stream)(nil)

// Stream implements ports.EntryStream as the role lectern_relay.
type Stream struct {
	pool *pgxpool.Pool
	opts Options
	log  *slog.Logger
}

// New makes a stream on a pool of lectern_relay.
func New(pool *pgxpool.Pool, opts Options, log *slog.Logger) *Stream {
	return &Stream{pool, opts, log}
}

// Stream implements ports.EntryStream.
func (s *Stream) Stream(ctx context.Context, sink ports.EntrySink) error {
	for ctx.Err() == nil {
		if err := s.subscribe(ctx, sink); err != nil && ctx.Err() == nil {
			sink.Looked(ctx, ports.Look{Err: fmt.Errorf("stream outbox entries: %w", err)})
		}
	}
	return nil
}

// subscribe streams by one subscriber and its router, until ctx ends or a look
// is cut off.
func (s *Stream) subscribe(ctx context.Context, sink ports.EntrySink) error {
	// To stop is not to break off: a look goes on to its end.
	running, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }() // closes what it holds of the pool
	logger := watermill.NewSlogLoggerWithLevelMapping(s.log, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelError: slog.LevelDebug, // the sink is told of errors
	})
	l := newLooks(ctx, db, s, sink, cutOff)
	ackDeadline := 24 * time.Hour // none: see the package's comment
	subscriber, err := watermillsql.NewSubscriber(l, watermillsql.SubscriberConfig{
		SchemaAdapter: l, OffsetsAdapter: l, BackoffManager: l, AckDeadline: &ackDeadline,
	}, logger)
	if err != nil {
		return fmt.Errorf("make subscriber: %w", err)
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: answerTimeout}, logger) //nolint:forbidigo // it is given one message at a time
	if err != nil {
		return fmt.Errorf("make router: %w", err)
	}
	router.AddConsumerHandler("relay", topic, subscriber, l.handle)
	closed := make(chan error, 1)
	go func() {
		select {
		case <-l.stopped:
		case <-running.Done():
		}
		closed <- router.Close()
	}()
	err = router.Run(running)
	cutOff()
	return errors.Join(err, <-closed)
}
