package rediscache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Cache = (*Cache)(nil)

// Cache implements ports.Cache. Close it.
type Cache struct {
	client  *redis.Client
	dialer  *dialer
	prefix  string
	timeout time.Duration
	now     func() time.Time
	log     *slog.Logger

	server *breaker // all calls
	writes *breaker // those that store: a full server still tells what it has

	calls  sync.RWMutex // held to read while a call is made
	closed bool
}

// New makes a cache and does not wait for the server, which may be down. now
// must be monotonic, as time.Now is.
func New(opts Options, now func() time.Time, log *slog.Logger) (*Cache, error) {
	client, err := opts.client()
	if err != nil {
		return nil, err
	}
	log = log.With("cache", client.Addr)
	d := &dialer{dial: redis.NewDialer(client)}
	client.Dialer = d.connect
	return &Cache{
		client: redis.NewClient(client), dialer: d, prefix: opts.Prefix, timeout: opts.Timeout, now: now, log: log,
		server: newBreaker(words{"Cache not reached, the database answers alone", "Cache reached again"}, ofServer, now, log),
		writes: newBreaker(words{"Cache takes no answers", "Cache takes answers again"}, ofWrites, now, log),
	}, nil
}

// Close waits for calls and ends the connections. A closed cache has nothing
// and takes nothing.
func (c *Cache) Close() error {
	c.calls.Lock()
	defer c.calls.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	err := c.client.Close()
	c.dialer.wait()
	if err != nil {
		return fmt.Errorf("close cache: %w", err)
	}
	return nil
}

// Ping returns an error while the server can't be reached, which is nothing that
// the log hears of.
func (c *Cache) Ping(ctx context.Context) error {
	c.calls.RLock()
	defer c.calls.RUnlock()
	if c.closed {
		return errors.New("reach cache: it is closed")
	}
	if err := c.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach cache: %w", err)
	}
	return nil
}

// Get implements ports.Cache.
func (c *Cache) Get(ctx context.Context, organization uuid.UUID, key domain.IdempotencyKey) (domain.CachedAnswer, bool) {
	var value []byte
	var found error
	err := c.call(ctx, func(ctx context.Context) error {
		var err error
		value, err = c.client.Get(ctx, c.key(organization, key)).Bytes()
		if errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "WRONGTYPE") {
			found, err = err, nil // the server works
		}
		return err
	})
	if err != nil || errors.Is(found, redis.Nil) {
		return domain.CachedAnswer{}, false
	}
	answer, err := decode(value)
	if err = errors.Join(found, err); err != nil {
		c.log.WarnContext(ctx, "Ignoring what is under a key of the cache and is no answer", "key", c.key(organization, key), "error", err)
		return domain.CachedAnswer{}, false
	}
	return answer, true
}

// Set implements ports.Cache.
func (c *Cache) Set(ctx context.Context, organization uuid.UUID, key domain.IdempotencyKey, a domain.CachedAnswer, ttl time.Duration) {
	if ttl < time.Millisecond { // to Redis, a ttl of 0 is for ever
		return
	}
	// The breakers have logged what the error is worth.
	_ = c.writes.do(func() error {
		return c.call(ctx, func(ctx context.Context) error {
			return c.client.Set(ctx, c.key(organization, key), encode(a), ttl).Err()
		})
	})
}

// call makes a call of at most the timeout, if there is hope.
func (c *Cache) call(ctx context.Context, call func(context.Context) error) error {
	c.calls.RLock()
	defer c.calls.RUnlock()
	if c.closed || ctx.Err() != nil {
		return errUnasked
	}
	return c.server.do(func() error {
		began := c.now()
		bounded, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		err := call(bounded)
		if err != nil && c.now().Sub(began) < c.timeout && over(ctx, c.now()) {
			return errUnasked
		}
		return err
	})
}

// errUnasked says that the caller had no more time, which tells nothing of the
// server.
var errUnasked = errors.New("the caller has left")

// over tells whether a caller's time is up. A connection notices a deadline a
// moment before its context does.
func over(ctx context.Context, now time.Time) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !now.Before(deadline)
}

// ofServer is the verdict on the server.
func ofServer(err error) verdict {
	switch {
	case err == nil, refused(err):
		return works
	case errors.Is(err, errUnasked):
		return unknown
	}
	return fails
}

// ofWrites is the verdict on what the server does with answers.
func ofWrites(err error) verdict {
	switch {
	case err == nil:
		return works
	case refused(err):
		return fails
	}
	return unknown
}

// refused tells the answers of a server that can be read but not written.
func refused(err error) bool {
	return slices.ContainsFunc([]string{"OOM", "READONLY", "MISCONF", "NOREPLICAS", "NOPERM"}, func(code string) bool {
		return redis.HasErrorPrefix(err, code+" ")
	})
}

// key is unambiguous because an organization's id is always as long.
func (c *Cache) key(organization uuid.UUID, key domain.IdempotencyKey) string {
	return c.prefix + ":answer:" + organization.String() + ":" + string(key)
}

// A value is the fingerprint, a line feed and the result's own bytes.
func encode(a domain.CachedAnswer) []byte {
	return slices.Concat([]byte(a.Fingerprint), []byte("\n"), a.Result)
}

func decode(value []byte) (domain.CachedAnswer, error) {
	fingerprint, result, _ := bytes.Cut(value, []byte("\n"))
	return domain.NewCachedAnswer(domain.Fingerprint(fingerprint), result)
}
