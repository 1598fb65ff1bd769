package postgres

import (
	"slices"
	"time"

	"lectern/ports"
)

// stuckRound is how long a round waits for the oldest transaction of the
// cluster before it looks at those alone that have drawn a number.
const stuckRound = time.Second

// cursor spares the claim from wading through what it settled before: up to its
// number no entry of the lease is ready, or ever will be. Numbers are drawn
// before they are committed, so one can appear behind others that were seen; a
// cursor that followed what was seen would lose it. Hence it moves by rounds: a
// round is decided once all transactions are over that may have drawn a number
// up to the round's.
//
// It is true of one connection's server, which may come back from a crash with
// a sequence that has fallen back, and of the partitions it began with.
type cursor struct {
	now     func() time.Time
	at      int64
	backend int // that the server gave the connection
	lease   ports.Lease
	round   *round
}

// round is one step of the cursor.
type round struct {
	upto    int64 // what the sequence had given
	xid     int64 // allocated after that: who drew up to it has a lower one
	began   time.Time
	holders []string // with the lock list in use: transactions to wait for
}

// cover begins anew when the lease has a partition that was not looked at from
// the beginning.
func (c *cursor) cover(lease ports.Lease) {
	for _, p := range lease.Partitions {
		if !slices.Contains(c.lease.Partitions, p) {
			c.restart(c.backend)
			break
		}
	}
	c.lease = lease
}

// restart goes back to the beginning, for another server process.
func (c *cursor) restart(backend int) {
	c.at, c.round, c.backend = 0, nil, backend
}

// begin notes a new round.
func (c *cursor) begin(upto, xid int64) {
	c.round = &round{upto: upto, xid: xid, began: c.now()}
}

// decided takes what a claim saw: xmin, the oldest transaction that ran in its
// snapshot or an earlier one, and the number of the first entry it found, 0 for
// none.
func (c *cursor) decided(xmin, first int64) {
	if c.round != nil && xmin >= c.round.xid {
		c.advance(first)
	}
}

func (c *cursor) advance(first int64) {
	to := c.round.upto
	if first > 0 {
		to = min(to, first-1)
	}
	c.at, c.round = max(c.at, to), nil
}

// stuck says that an old transaction, maybe one that never touches the outbox,
// holds up the round.
func (c *cursor) stuck() bool {
	return c.round != nil && c.now().Sub(c.round.began) >= stuckRound
}

// drawers are the transactions that have drawn a number and are not over, by
// their virtual ids; prepared ones have given theirs up for another.
type drawers struct {
	running, prepared []string
}

// left takes the list of those who have drawn a number, read after the round
// began, and says whether any of them may have drawn one of the round's. The
// first list has them all; they are waited for, and the prepared, which may
// have been among them under another id.
func (r *round) left(d drawers) bool {
	if r.holders == nil {
		r.holders = append(slices.Clone(d.running), d.prepared...)
	} else {
		r.holders = append(slices.DeleteFunc(slices.Clone(r.holders), func(h string) bool {
			return !slices.Contains(d.running, h)
		}), d.prepared...)
	}
	return len(r.holders) > 0
}
