package watermillrelay

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"

	"lectern/domain"
	"lectern/ports"
)

// looks are those of one subscriber, which calls their methods one after
// another, handle by way of the router.
type looks struct {
	*sql.DB // with a BeginTx of our own

	stream   *Stream
	sink     ports.EntrySink
	send     func(domain.OutboxEntry) domain.Settlement
	rest     func(ports.Look)
	stopping <-chan struct{}
	cutOff   context.CancelFunc

	stopped chan struct{} // closed when no look will begin any more
	overdue *time.Timer   // cuts off the look under way
	locked  bool          // the stream is ours for this look
	batch   *batch
}

var (
	_ watermillsql.Beginner       = (*looks)(nil)
	_ watermillsql.BackoffManager = (*looks)(nil)
)

// newLooks makes looks that end with ctx.
func newLooks(ctx context.Context, db *sql.DB, s *Stream, sink ports.EntrySink, cutOff context.CancelFunc) *looks {
	return &looks{
		DB: db, stream: s, sink: sink, cutOff: cutOff, stopping: ctx.Done(), stopped: make(chan struct{}),
		send: func(e domain.OutboxEntry) domain.Settlement { return sink.Send(ctx, e) },
		rest: func(look ports.Look) { sink.Looked(ctx, look) },
	}
}

// What bounds the statements of a look, by the server: a client that has left
// can't tell it to stop.
const (
	statementTimeout = "20s"
	lockTimeout      = "3s"
)

// BeginTx begins a look. The lock is taken by a statement of its own, so that
// the next one's snapshot sees all that the last who had it settled.
func (l *looks) BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error) {
	idle := l.stream.opts.IdleTimeout
	l.sink.Looking()
	l.locked, l.batch = false, newBatch()
	l.overdue = time.AfterFunc(idle+answerTimeout, l.cutOff)
	if err := l.unpark(ctx); err != nil {
		return nil, err
	}
	tx, err := l.DB.BeginTx(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("begin look: %w", err)
	}
	err = tx.QueryRowContext(ctx, `select pg_try_advisory_xact_lock(hashtext('lectern.outbox_stream'))
		from set_config('statement_timeout', $1, true) as a, set_config('lock_timeout', $2, true) as b,
		set_config('idle_in_transaction_session_timeout', $3, true) as c`,
		statementTimeout, lockTimeout, strconv.FormatInt(idle.Milliseconds(), 10)).Scan(&l.locked)
	if err != nil {
		_ = tx.Rollback() // the error before it says more
		return nil, fmt.Errorf("lock outbox stream: %w", err)
	}
	return tx, nil
}

// unpark makes ready what is due. It has a transaction of its own: the courses
// that it locks must not stay so while entries are published.
func (l *looks) unpark(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	b := &pgx.Batch{}
	b.Queue(`select set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true)`, statementTimeout, lockTimeout)
	b.Queue(`select lectern.unpark_due($1, array(select partition from lectern.leases))`, l.stream.opts.BatchSize)
	if err := l.stream.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("make ready what is due: %w", err)
	}
	return nil
}

// handle is the router's. It always acks: what is nacked is sent again and
// again while the transaction stays open.
func (l *looks) handle(msg *message.Message) error {
	batch := l.batch
	if e, ok := batch.entry(msg.UUID); ok {
		batch.settle(l.send(e))
	}
	return nil
}

// HandleError is called when a look is over, and waits until the next itself:
// nothing could wake the subscriber.
func (l *looks) HandleError(_ watermill.LoggerAdapter, _ bool, err error) time.Duration {
	l.overdue.Stop()
	l.rest(ports.Look{Entries: l.batch.size(), Elsewhere: err == nil && !l.locked, Err: err})
	select {
	case <-l.stopping:
		close(l.stopped)
		return time.Hour // until the router closes the subscriber
	default:
		return 0
	}
}
