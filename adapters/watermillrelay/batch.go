package watermillrelay

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
)

// batch is what one look has in hand. A look that was cut off goes on with its
// message for a while, beside the subscriber.
type batch struct {
	began    time.Time
	mu       sync.Mutex
	entries  map[string]domain.OutboxEntry // by the message's UUID
	seqs     []int64                       // published
	retry    []failure
	dead     []failure
	holdDead bool
}

// failure is an entry that was not published, for the database.
type failure struct {
	ID      uuid.UUID `json:"outbox_id"`
	Reason  string    `json:"reason"`
	DelayMS int64     `json:"delay_ms"`
}

func newBatch() *batch {
	return &batch{began: time.Now(), entries: map[string]domain.OutboxEntry{}, seqs: []int64{}, retry: []failure{}, dead: []failure{}}
}

func (b *batch) add(e domain.OutboxEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries[e.ID.String()] = e
}

func (b *batch) entry(id string) (domain.OutboxEntry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[id]
	return e, ok
}

func (b *batch) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}

// settle notes what became of entries.
func (b *batch) settle(s domain.Settlement) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range s.Published {
		b.seqs = append(b.seqs, e.Seq)
	}
	b.retry = append(b.retry, b.failures(s.Retry)...)
	b.dead = append(b.dead, b.failures(s.Dead)...)
	b.holdDead = b.holdDead || s.HoldBehindDead
}

// failures counts delays from when the look began, as now() does in its
// transaction.
func (b *batch) failures(failed []domain.FailedEntry) []failure {
	var out []failure
	for _, f := range failed {
		out = append(out, failure{f.Entry.ID, domain.ErrorText(f.Reason), (time.Since(b.began) + f.Delay).Milliseconds()})
	}
	return out
}
