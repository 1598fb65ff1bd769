package postgres

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"lectern/domain"
	"lectern/ports"
)

// oldestShare is which part of a claim, rounded up, goes to the oldest entries
// whatever their priority, so that none waits for ever: one in so many.
const oldestShare = 5

// anyUrgent says whether an entry with a priority is ready behind the cursor,
// which is $3 of the connection's server process $2.
const anyUrgent = `lectern.any_urgent(case when pg_backend_pid() = $2 then $3::bigint else 0 end)`

// raise puts what leaves before its turn ahead of what was claimed by number.
// Of each course both have the first ready entries in order, and so has what
// they are together. The cursor follows what was claimed by number alone: it
// stays before all that is passed over.
func (s *Outbox) raise(ctx context.Context, lease ports.Lease, limit int, claimed []domain.OutboxEntry) ([]domain.OutboxEntry, error) {
	room := limit - (limit+oldestShare-1)/oldestShare
	if room == 0 {
		return claimed, nil
	}
	var raised []domain.OutboxEntry
	partitions, tokens := fence(lease)
	err := within(ctx, s.conn, func(b *pgx.Batch) {
		b.Queue(`select `+entryColumns+` from lectern.raise_courses(`+stillHeld+`,
			case when pg_backend_pid() = $3 then $4::bigint else 0 end, $5) with ordinality order by ordinality`,
			partitions, tokens, s.cursor.backend, s.cursor.at, room).
			Query(collect(&raised, scanEntry))
	})
	if err != nil {
		return nil, err
	}
	first := make(map[uuid.UUID]bool, len(raised))
	for _, e := range raised {
		first[e.ID] = true
	}
	rest := slices.DeleteFunc(claimed, func(e domain.OutboxEntry) bool { return first[e.ID] })
	return append(raised, rest[:min(len(rest), limit-len(raised))]...), nil
}
