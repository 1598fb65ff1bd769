// Package memorycache is the cache within one process: nothing to set up, and
// enough for a single one. Other processes don't see what it has, and it is
// gone when the process ends; then the database answers.
//
// It holds a bounded number of entries and bytes, and for what is new gives up
// what was asked for least recently. A cache that processes share is rediscache.
package memorycache

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jellydator/ttlcache/v3"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Cache = (*Cache)(nil)

// Cache implements ports.Cache. It has no goroutine and needs no closing.
type Cache struct {
	answers  *ttlcache.Cache[slot, domain.CachedAnswer]
	maxBytes uint64
}

type slot struct {
	organization uuid.UUID
	key          domain.IdempotencyKey
}

// New makes an empty cache.
func New(opts Options) *Cache {
	maxBytes := uint64(max(opts.MaxBytes, 0))
	return &Cache{
		answers: ttlcache.New(
			ttlcache.WithCapacity[slot, domain.CachedAnswer](uint64(max(opts.MaxEntries, 0))),
			ttlcache.WithMaxCost(maxBytes, func(item ttlcache.CostItem[slot, domain.CachedAnswer]) uint64 {
				return size(item.Key, item.Value)
			}),
			ttlcache.WithDisableTouchOnHit[slot, domain.CachedAnswer](),
		),
		maxBytes: maxBytes,
	}
}

// Get implements ports.Cache.
func (c *Cache) Get(ctx context.Context, organization uuid.UUID, key domain.IdempotencyKey) (domain.CachedAnswer, bool) {
	if ctx.Err() != nil {
		return domain.CachedAnswer{}, false
	}
	item := c.answers.Get(slot{organization, key})
	if item == nil {
		return domain.CachedAnswer{}, false
	}
	return item.Value(), true
}

// Set implements ports.Cache.
func (c *Cache) Set(ctx context.Context, organization uuid.UUID, key domain.IdempotencyKey, a domain.CachedAnswer, ttl time.Duration) {
	at := slot{organization, key}
	// To the library, a ttl of 0 or less has another meaning, and what is too
	// large for the whole cache would empty it.
	if ctx.Err() != nil || ttl < time.Millisecond || size(at, a) > c.maxBytes {
		return
	}
	c.answers.Set(at, a, ttl)
}

// overhead is roughly what an entry takes beside its key and answer: the
// library's item, its places in a map, a list and a heap.
const overhead = 512

func size(at slot, a domain.CachedAnswer) uint64 {
	return uint64(overhead + len(at.key) + len(a.Fingerprint) + len(a.Result))
}
