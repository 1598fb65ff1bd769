package ports

import (
	"context"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
)

// OutboxPartitions is how many partitions the outbox has. A course, and so each
// of its entries, is in one of them for good.
const OutboxPartitions = 64

// PartitionOf returns a course's partition: the low six bits of its id, which are
// random.
func PartitionOf(course uuid.UUID) int16 { return int16(course[len(course)-1] % OutboxPartitions) }

// Lease is what a relay holds of the outbox, as it was at one moment. It is a
// value: what is claimed under it is settled under it.
type Lease struct {
	Partitions []LeasedPartition
	// Suspect says that there may be suspect entries among them.
	Suspect bool
}

// LeasedPartition is one partition with its fencing token, which rises whenever
// the partition goes to another holder, or back to the same one.
type LeasedPartition struct {
	Partition int16
	Token     int64
}

// Claimed is what a relay has to send next.
type Claimed struct {
	Entries []domain.OutboxEntry
	// Crashes is how many relays in a row died while they had this one entry in
	// hand alone; 0 when there are several.
	Crashes int
}

// Outbox is one relay's view of job_outbox. Relays share the outbox by leases
// on its partitions. One goroutine claims and settles; Hold and Stats may be
// called meanwhile. No call takes longer than a minute.
type Outbox interface {
	// Hold extends the leases of holder to ttl from now, by the database's
	// clock, and returns what it still holds. Each relay has a holder name of
	// its own, of 1 to 200 characters.
	Hold(ctx context.Context, holder string, ttl time.Duration) (Lease, error)

	// Balance is Hold, and besides takes partitions that are free or whose
	// holder's time has passed, or gives some back, so that all relays have
	// about as many: for a relay that has nothing in hand. Of a partition that
	// was not given back, the first entries, as many as a batch, are suspect.
	Balance(ctx context.Context, holder string, ttl time.Duration, batch int) (Lease, error)

	// GiveBack ends the holder's leases at once, and lets go of what the outbox
	// keeps between calls. It may be used again.
	GiveBack(ctx context.Context, holder string) error

	// Claim returns up to limit ready entries of the lease's partitions that it
	// Claim returns up to limit ready entries of the lease's partitions that it
	// still holds, in commit order within each course. An entry with a priority
	// leaves before less urgent ones, together with what is ready before it in
	// its course; a fifth of the limit, rounded up, goes to the oldest entries
	// whatever their priority. It first makes ready what is due again there. It
	// does not mark what it returns: what is not settled is claimed again. Under
	// a lease that is Suspect it returns one of the suspect entries, alone, while
	// there are any. Should its process die before that is settled, the death
	// counts against the entry: so the process has nothing else in hand then.
	Claim(ctx context.Context, lease Lease, limit int) (Claimed, error)

	// Settle records what became of entries claimed under a lease. Entries
	// whose partition has gone to another holder since, or that were settled
	// already, stay as they are. A dead entry fails its course, when the course
	// is still on the entry's run. What was published is recorded even if the
	// rest can't be.
	Settle(ctx context.Context, lease Lease, s domain.Settlement) error

	// NextDue returns how long it is, by the database's clock, until the next
	// parked entry of the partitions that were claimed from last, or of all before
	// a claim, is due, 0 or
	// less for one that is and a day at most; false if none will be.
	NextDue(ctx context.Context) (time.Duration, bool, error)

	// Stats counts the table, not a batch.
	Stats(ctx context.Context) (domain.OutboxStats, error)
}
