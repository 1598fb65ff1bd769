package postgresbroker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/ports"
)

// maxIdleConns is above what the slots of a process commonly need at once, so
// that they don't reconnect; after a minute unused, connections are closed.
const maxIdleConns = 64

var errClosed = errors.New("the postgres broker is closed")

// Broker implements ports.Broker on Postgres.
type Broker struct {
	opts    Options
	log     *slog.Logger
	schema  schema
	queries queries
	pool    *pgxpool.Pool // for all but consuming
	db      *sql.DB       // of the stock subscribers

	signals *signals
	leases  *leases

	mu         sync.Mutex
	closed     bool
	consumers  map[*consumer]struct{}
	background sync.WaitGroup
	stop       context.CancelFunc // nil until there is a consumer
}

var _ ports.Broker = (*Broker)(nil)

// New returns a broker with options as from DecodeOptions. It does not connect
// yet, so that a server may come later. The caller closes it.
func New(ctx context.Context, opts Options, log *slog.Logger) (*Broker, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("make postgres broker: %w", err)
	}
	config, err := poolConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("make postgres broker: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("make postgres broker: %w", err)
	}
	name := schema(opts.Schema)
	db := openAutocommit(config.ConnConfig, opts.Timeout)
	db.SetMaxIdleConns(maxIdleConns)
	db.SetConnMaxIdleTime(time.Minute)
	return &Broker{
		opts:      opts,
		log:       log,
		schema:    name,
		queries:   queries{schema: name, opts: opts, holder: uuid.NewString()},
		pool:      pool,
		db:        db,
		signals:   newSignals(),
		leases:    newLeases(),
		consumers: map[*consumer]struct{}{},
	}, nil
}

// poolConfig has statements planned each time, unless the DSN says otherwise:
// a plan made while the tables were nearly empty would scan a backlog from end
// to end. (And a pooler such as PgBouncer knows no prepared statements.)
func poolConfig(opts Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(opts.DSN)
	if err != nil {
		return nil, err
	}
	if config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	config.ConnConfig.ConnectTimeout = opts.Timeout
	return config, nil
}

// Subscriber implements ports.Broker.
func (b *Broker) Subscriber(group string) (message.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fmt.Errorf("make consumer of %q: %w", group, errClosed)
	}
	if b.stop == nil {
		b.startBackground()
	}
	c := &consumer{broker: b, group: group, topics: map[string]*subscription{}}
	b.consumers[c] = struct{}{}
	return c, nil
}

func (b *Broker) startBackground() {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	b.background.Go(func() { b.listen(ctx) })
	b.background.Go(func() { b.leases.extend(ctx, b.pool, b.queries, b.log) })
}

func (b *Broker) requireRegistered(ctx context.Context, topic, group string) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	var registered bool
	if err := b.pool.QueryRow(ctx, b.schema.in(isRegisteredSQL), topic, group).Scan(&registered); err != nil {
		return fmt.Errorf("look up group %q of the topic %q: %w", group, topic, err)
	}
	if !registered {
		return fmt.Errorf("group %q does not consume the topic %q: register both with Prepare", group, topic)
	}
	return nil
}

func (b *Broker) forget(c *consumer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.consumers, c)
}

// MaxMessageBytes implements ports.Broker.
func (b *Broker) MaxMessageBytes() int { return b.opts.MaxMessageBytes }

// Ping implements ports.Broker.
func (b *Broker) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	if err := b.pool.Ping(ctx); err != nil {
		return fmt.Errorf("reach broker: %w", err)
	}
	return nil
}

func (b *Broker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// Close refuses what is published from now on, and closes every consumer: each
// finishes what is in hand, within CloseTimeout. While the server swallows what
// it is sent, pgx's own clean-up of broken connections adds up to 15s.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	consumers := slices.Collect(maps.Keys(b.consumers))
	stop := b.stop
	b.mu.Unlock()

	var wg sync.WaitGroup
	errs := make([]error, len(consumers))
	for i, c := range consumers {
		wg.Go(func() { errs[i] = c.Close() })
	}
	wg.Wait()
	if stop != nil {
		stop()
	}
	b.background.Wait()
	b.pool.Close()
	return errors.Join(errors.Join(errs...), b.db.Close())
}
