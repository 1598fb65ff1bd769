package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
	"lectern/e2e/stack"
	"lectern/ports"
)

// cursorT is a relay's outbox on a server that has no other traffic: what
// others do would hide that a cursor is wrong.
type cursorT struct {
	*testing.T
	db     *stack.DB
	admin  *pgx.Conn
	outbox *postgres.Outbox
	lease  ports.Lease
	now    time.Time // the cursor's clock
}

func TestCursor(t *testing.T) {
	t.Parallel()
	server := stack.StartPostgres(t)
	allowPrepared(t, server)
	for _, test := range []struct {
		name string
		run  func(*cursorT)
	}{
		{"an open writer is waited for", cursorWaits},
		{"a writer that commits out of order loses nothing", cursorTakesAnyOrder},
		{"a writer that begins before a number is drawn loses nothing", cursorWaitsForTheEarly},
		{"an aborted writer is passed", cursorPassesTheAborted},
		{"a reader holds up nothing", cursorIgnoresReaders},
		{"an unrelated writer holds it up for a second", cursorFallsBack},
		{"an unrelated writer does not hide one of ours", cursorFallsBackOnlyOverTheDone},
		{"a prepared writer is waited for", cursorWaitsForThePrepared},
		{"an entry in hand is not passed", cursorStaysBeforeTheUnsettled},
		{"an entry that urgent ones pass is not passed", cursorStaysBeforeThePassed},
		{"an urgent writer is waited for", cursorWaitsForTheUrgent},
		{"what is parked comes back though it is far ahead", cursorFarAhead},
		{"a clock that jumps only makes it wait longer or less", cursorBearsItsClocksJumps},
		{"a partition that is won is seen from its start", cursorBeginsAnewWithMore},
		{"another connection begins anew", cursorBelongsToAConnection},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newCursorT(t, server)) }) // one at a time
	}
}

func allowPrepared(t *testing.T, server *stack.PostgresServer) {
	t.Helper()
	admin := connect(t, server.Database(t).Superuser)
	_, err := admin.Exec(t.Context(), `alter system set max_prepared_transactions = 10`)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), `alter system set autovacuum = off`)
	require.NoError(t, err)
	server.Stop()
	server.Start()
}

func newCursorT(t *testing.T, server *stack.PostgresServer) *cursorT {
	t.Helper()
	db := server.Database(t)
	migrate(t, db.Owner)
	c := &cursorT{T: t, db: db, admin: connect(t, db.Superuser), now: time.Unix(0, 0)}
	c.outbox = postgres.NewOutbox(open(t, db.Relay), func() time.Time { return c.now })
	t.Cleanup(func() { require.NoError(t, c.outbox.GiveBack(context.Background(), "test")) })
	var err error
	c.lease, err = c.outbox.Balance(t.Context(), "test", time.Hour, 500)
	require.NoError(t, err)
	return c
}

// tx begins a transaction on a connection of its own.
func (c *cursorT) tx(dsn string) pgx.Tx {
	c.Helper()
	tx, err := connect(c.T, dsn).Begin(c.Context())
	require.NoError(c, err)
	c.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // it may be over
	return tx
}

// write is a writer that has added n entries and is open.
func (c *cursorT) write(n int) (pgx.Tx, []uuid.UUID) {
	c.Helper()
	tx := c.tx(c.db.Superuser)
	return tx, addEntries(c.T, tx, uuid.New(), n)
}

// claim claims and settles, and returns what there was.
func (c *cursorT) claim() []uuid.UUID {
	c.Helper()
	claimed, err := c.outbox.Claim(c.Context(), c.lease, 500)
	require.NoError(c, err)
	require.NoError(c, c.outbox.Settle(c.Context(), c.lease, domain.Settlement{Published: claimed.Entries}))
	return ids(claimed.Entries)
}

// idle claims often enough for any round to come to its end.
func (c *cursorT) idle() {
	c.Helper()
	for range 5 {
		require.Empty(c, c.claim())
	}
}

func (c *cursorT) exec(on execer, sql string) {
	c.Helper()
	_, err := on.Exec(c.Context(), sql)
	require.NoError(c, err)
}

// drawn is the last number that was drawn, whatever became of it.
func (c *cursorT) drawn() int64 {
	c.Helper()
	var n int64
	require.NoError(c, c.admin.QueryRow(c.Context(), `select last_value from lectern.job_outbox_seq`).Scan(&n))
	return n
}

func (c *cursorT) requireAllPassed() {
	c.Helper()
	c.idle()
	require.Equal(c, c.drawn(), c.outbox.Cursor())
}

func cursorWaits(c *cursorT) {
	writer, late := c.write(1)
	c.idle() // with nothing to see at all
	require.Zero(c, c.outbox.Cursor())
	require.NoError(c, writer.Commit(c.Context()))
	require.Equal(c, late, c.claim())
	c.requireAllPassed()

	writer, late = c.write(1)
	other := addEntries(c.T, c.admin, uuid.New(), 3)
	require.Equal(c, other, c.claim())
	c.idle()
	require.Equal(c, int64(1), c.outbox.Cursor(), "it may not pass the open one")
	require.NoError(c, writer.Commit(c.Context()))
	require.Equal(c, late, c.claim())
	c.requireAllPassed()
}

func cursorTakesAnyOrder(c *cursorT) {
	first, ones := c.write(2)
	second, twos := c.write(2)
	third, threes := c.write(2)
	require.NoError(c, third.Commit(c.Context()))
	require.Equal(c, threes, c.claim())
	c.idle()
	require.NoError(c, first.Commit(c.Context()))
	require.Equal(c, ones, c.claim())
	c.idle()
	require.NoError(c, second.Commit(c.Context()))
	require.Equal(c, twos, c.claim())
	c.requireAllPassed()
}

// Its transaction is older than the round, and its number newer.
func cursorWaitsForTheEarly(c *cursorT) {
	early := c.tx(c.db.Superuser)
	c.exec(early, `select pg_current_xact_id()`)
	for range 3 {
		require.Len(c, addEntries(c.T, c.admin, uuid.New(), 1), len(c.claim()))
	}
	late := addEntries(c.T, early, uuid.New(), 1)
	addEntries(c.T, c.admin, uuid.New(), 1)
	require.Len(c, c.claim(), 1)
	c.idle()
	require.NoError(c, early.Commit(c.Context()))
	require.Equal(c, late, c.claim())
	c.requireAllPassed()
}

func cursorPassesTheAborted(c *cursorT) {
	aborted, _ := c.write(3)
	other := addEntries(c.T, c.admin, uuid.New(), 1)
	require.Equal(c, other, c.claim())
	c.idle()
	require.Zero(c, c.outbox.Cursor())
	require.NoError(c, aborted.Rollback(c.Context()))
	c.requireAllPassed()
	last, _ := c.write(2) // and with nothing committed behind it
	require.NoError(c, last.Rollback(c.Context()))
	c.requireAllPassed()
}

func cursorIgnoresReaders(c *cursorT) {
	addEntries(c.T, c.admin, uuid.New(), 1)
	reader := c.tx(c.db.Superuser)
	c.exec(reader, `set transaction isolation level repeatable read`)
	c.exec(reader, `select count(*) from lectern.job_outbox`)
	require.Len(c, c.claim(), 1)
	addEntries(c.T, c.admin, uuid.New(), 1)
	require.Len(c, c.claim(), 1)
	c.requireAllPassed()
}

// unrelated opens a write transaction that never touches the outbox, even in
// another database.
func (c *cursorT) unrelated(dsn string) {
	c.Helper()
	tx := c.tx(dsn)
	c.exec(tx, `create table unrelated ()`)
}

func cursorFallsBack(c *cursorT) {
	elsewhere := *c.db
	elsewhere.Superuser = sameServer(c.T, c.db.Superuser, "postgres")
	for i, dsn := range []string{c.db.Superuser, elsewhere.Superuser} {
		c.unrelated(dsn)
		before := c.outbox.Cursor()
		more := addEntries(c.T, c.admin, uuid.New(), 2)
		require.Equal(c, more, c.claim(), "delivery goes on")
		c.idle()
		require.Equal(c, before, c.outbox.Cursor(), i)
		c.now = c.now.Add(2 * time.Second)
		c.idle() // decides the round that began before there was anything
		c.now = c.now.Add(2 * time.Second)
		c.requireAllPassed()
	}
}

func cursorFallsBackOnlyOverTheDone(c *cursorT) {
	c.unrelated(c.db.Superuser)
	writer, late := c.write(1)
	aborted, _ := c.write(1)
	behind := addEntries(c.T, c.admin, uuid.New(), 2)
	require.Equal(c, behind, c.claim())
	for range 5 {
		c.now = c.now.Add(2 * time.Second)
		c.idle()
	}
	require.Zero(c, c.outbox.Cursor())
	require.NoError(c, writer.Commit(c.Context()))
	require.Equal(c, late, c.claim())
	c.idle()
	require.Zero(c, c.outbox.Cursor(), "one is left")
	younger, youngest := c.write(1) // not waited for: its number is not the round's
	require.NoError(c, aborted.Rollback(c.Context()))
	c.idle()
	require.Equal(c, int64(4), c.outbox.Cursor())
	require.NoError(c, younger.Commit(c.Context()))
	require.Equal(c, youngest, c.claim())
}

func cursorWaitsForThePrepared(c *cursorT) {
	c.unrelated(c.db.Superuser)
	writer, late := c.write(1)
	addEntries(c.T, c.admin, uuid.New(), 1)
	require.Len(c, c.claim(), 1)
	c.now = c.now.Add(2 * time.Second)
	c.idle() // lists the writer, by the id that it gives up now
	c.exec(writer, `prepare transaction 'late'`)
	for range 3 {
		c.now = c.now.Add(2 * time.Second)
		c.idle()
	}
	require.Zero(c, c.outbox.Cursor())
	c.exec(c.admin, `commit prepared 'late'`)
	require.Equal(c, late, c.claim())
	c.idle() // the next round
	c.now = c.now.Add(2 * time.Second)
	c.idle()
	require.Equal(c, int64(2), c.outbox.Cursor())
}

func cursorStaysBeforeTheUnsettled(c *cursorT) {
	all := addEntries(c.T, c.admin, uuid.New(), 3)
	for range 3 {
		claimed, err := c.outbox.Claim(c.Context(), c.lease, 500)
		require.NoError(c, err)
		require.Equal(c, all, ids(claimed.Entries))
		require.Zero(c, c.outbox.Cursor())
		require.NoError(c, c.outbox.Settle(c.Context(), c.lease, domain.Settlement{Published: claimed.Entries[1:]}))
		all = all[:1]
	}
}

func cursorBeginsAnewWithMore(c *cursorT) {
	all := c.lease
	c.lease = ports.Lease{Partitions: all.Partitions[:63]}
	elsewhere := uuid.New()
	elsewhere[15] = 63
	missed := addEntries(c.T, c.admin, elsewhere, 2)
	c.requireAllPassed()
	c.lease = all
	require.Equal(c, missed, c.claim())
}

// What the server says after a crash may be older than what the cursor knows.
func cursorBelongsToAConnection(c *cursorT) {
	addEntries(c.T, c.admin, uuid.New(), 9)
	require.Len(c, c.claim(), 9)
	c.requireAllPassed()
	c.exec(c.admin, `select setval('lectern.job_outbox_seq', 3)`)
	c.exec(c.admin, `delete from lectern.job_outbox`)
	behind := addEntries(c.T, c.admin, uuid.New(), 2)
	require.Empty(c, c.claim(), "the same connection need not look back")
	c.exec(c.admin, `select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = 'lectern_relay' and datname = current_database()`)
	_, err := c.outbox.Claim(c.Context(), c.lease, 500)
	require.Error(c, err)
	for {
		claimed, err := c.outbox.Claim(c.Context(), c.lease, 500)
		if err == nil { // the pool may have had more connections that were cut
			require.Equal(c, behind, ids(claimed.Entries))
			return
		}
		require.NoError(c, c.Context().Err())
	}
}

// sameServer is an address with another database.
func sameServer(t *testing.T, dsn, database string) string {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s", config.User, config.Password, config.Host, config.Port, database)
}
