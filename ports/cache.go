package ports

import (
	"context"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
)

// Cache keeps the answers of idempotent commands for a while, to spare the
// database. It never has the last word: what it does not know, the database
// does, so a miss is all that can go wrong, and how it is shared, or what it
// forgets early, changes no answer.
//
// A key belongs to its organization: the same one of another is another key.
// Neither the caller nor the cache changes the bytes of an answer afterwards.
type Cache interface {
	// Get returns the answer that is stored for a key of an organization. It
	// is false when there is none, when the cache can't tell in a fraction of
	// a second, and when ctx is done.
	Get(ctx context.Context, organization uuid.UUID, key domain.IdempotencyKey) (domain.CachedAnswer, bool)

	// Set stores the answer in place of an earlier one, for ttl at most, or
	// does nothing: when ttl is shorter than a millisecond, when ctx is done,
	// or when the cache can't do it in a fraction of a second.
	Set(ctx context.Context, organization uuid.UUID, key domain.IdempotencyKey, a domain.CachedAnswer, ttl time.Duration)
}
