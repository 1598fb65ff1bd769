package postgresbroker_test

import (
	"encoding/json"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

// Each test here would catch what the stock watermill-sql/v3 does by itself, or
// invites: see the table of traps in docs/adding-a-broker.md.

// watermill-sql keeps a transaction open while a handler runs. Ours must show
// as none: it would hold back vacuum and who reads pg_snapshot_xmin.
func TestAHandlerHoldsNoTransaction(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{})
	_, msgs := subscribe(t, d.Broker)
	d.publish(t, 2)
	m, n := receive(t, msgs), receive(t, msgs)
	require.EqualValues(t, 0, d.value(t, `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'`))
	require.EqualValues(t, 0, d.value(t, `SELECT count(*) FROM pg_locks
		WHERE locktype = 'transactionid' AND pid <> pg_backend_pid() AND mode = 'ExclusiveLock' AND pid IN
			(SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle%')`))
	require.True(t, m.Ack())
	require.True(t, n.Ack())
}

// watermill-sql's ConsumedMessageQuery changes what stands although nobody acks.
// Only the ack deletes a row, and only its group's.
func TestAnAckDeletesItsGroupsRow(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{})
	require.NoError(t, d.Prepare(t.Context(), []string{"topic"}, []string{"other"}))
	sent := d.publish(t, 2)
	sub, msgs := subscribe(t, d.Broker)
	m := receive(t, msgs)
	require.Equal(t, sent[0].UUID, m.UUID)
	require.EqualValues(t, 4, d.value(t, `SELECT count(*) FROM lectern_broker.messages`), "in hand is not acked")

	require.True(t, m.Ack())
	require.NoError(t, sub.Close())
	left := `SELECT string_agg(group_name || ' ' || uuid, ',' ORDER BY group_name, seq) FROM lectern_broker.messages`
	require.Equal(t, "group "+sent[1].UUID+",other "+sent[0].UUID+",other "+sent[1].UUID, d.value(t, left))
}

// watermill-sql resends a nacked message within its transaction, for ever.
func TestANackReleasesTheRow(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{"retry_delay": "1h", "retry_delay_max": "1h"})
	sent := d.publish(t, 1)
	sub, msgs := subscribe(t, d.Broker)
	require.True(t, receive(t, msgs).Nack())
	require.NoError(t, sub.Close())
	require.Equal(t, sent[0].UUID, d.value(t, `SELECT uuid FROM lectern_broker.messages
		WHERE holder IS NULL AND attempts = 1 AND due_at > now() + interval '59 minutes'`))
}

// watermill-sql's queue schema acknowledges rows that it never handled, when it
// is closed in mid-batch.
func TestWhatWasNotHandedOutIsAsFreshAsBefore(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{})
	d.publish(t, 3)
	sub, msgs := subscribe(t, d.Broker)
	require.True(t, receive(t, msgs).Ack())
	require.NoError(t, sub.Close())
	require.EqualValues(t, 2, d.value(t, `SELECT count(*) FROM lectern_broker.messages
		WHERE holder IS NULL AND attempts = 0 AND due_at IS NULL`))
}

// watermill-sql gives AckMessageQuery the last row of a batch that was acked,
// and takes it for all.
func TestEachMessageIsAckedByItself(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{"concurrency": 4})
	sent := d.publish(t, 4)
	sub, msgs := subscribe(t, d.Broker)
	held := receive(t, msgs)
	for range 3 {
		require.True(t, receive(t, msgs).Ack())
	}
	require.Eventually(t, func() bool {
		return d.value(t, `SELECT count(*) FROM lectern_broker.messages`) == int64(1)
	}, patience, tick)
	require.Equal(t, sent[0].UUID, d.value(t, `SELECT uuid FROM lectern_broker.messages`))
	require.True(t, held.Ack())
	require.NoError(t, sub.Close())
}

// watermill-sql never acknowledges an offset of 0.
func TestARowWithoutASequenceNumberIsAcked(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{})
	d.exec(t, `INSERT INTO lectern_broker.messages (seq, topic, group_name, uuid, payload, metadata)
		OVERRIDING SYSTEM VALUE VALUES (0, 'topic', 'group', 'by hand', '{}', '{}')`)
	sub, msgs := subscribe(t, d.Broker)
	require.True(t, receive(t, msgs).Ack())
	require.NoError(t, sub.Close())
	require.EqualValues(t, 0, d.value(t, `SELECT count(*) FROM lectern_broker.messages`))
}

// An error of the unmarshaller would keep watermill-sql at this row for ever.
func TestAnUndecodableRowBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	for name, metadata := range map[string]string{"a list": `[1]`, "no texts": `{"a": {"b": 1}}`, "null": `null`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t, map[string]any{"max_message_bytes": 2})
			d.exec(t, `INSERT INTO lectern_broker.messages (topic, group_name, uuid, payload, metadata)
				VALUES ('topic', 'group', 'by hand', 'too large to be published', $1)`, metadata)
			require.NoError(t, d.Publish("topic", message.NewMessage("next", []byte("{}"))))
			_, msgs := subscribe(t, d.Broker)
			require.True(t, receive(t, msgs).Ack())

			letter := d.deadLetter(t)
			require.Equal(t, "by hand", letter.UUID)
			require.Equal(t, "too large to be published", string(letter.Payload))
			require.Contains(t, letter.Metadata.Get(ports.MetaDeadReason), metadata)
			require.Equal(t, "lectern_broker.messages, seq 1", letter.Metadata.Get(ports.MetaDeadOrigin))
			require.Eventually(t, func() bool {
				return d.value(t, `SELECT count(*) FROM lectern_broker.messages WHERE topic = 'topic'`) == int64(0)
			}, patience, tick)
		})
	}
}

// Without SKIP LOCKED, a claim waits for whoever is claiming the row before it.
func TestARowThatSomebodyHoldsIsLeftAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]string{
		"fresh": `SELECT`,
		"due":   `UPDATE lectern_broker.messages SET attempts = 1, due_at = now() - make_interval(mins => 3 - seq::int)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t, map[string]any{})
			sent := d.publish(t, 2)
			d.exec(t, prepare)
			holder, err := d.outside.Begin(t.Context())
			require.NoError(t, err)
			_, err = holder.Exec(t.Context(), `SELECT FROM lectern_broker.messages WHERE uuid = $1 FOR UPDATE`, sent[0].UUID)
			require.NoError(t, err)
			_, msgs := subscribe(t, d.Broker)
			for _, want := range []string{sent[1].UUID, sent[0].UUID} {
				m := receive(t, msgs)
				require.Equal(t, want, m.UUID)
				require.True(t, m.Ack())
				_ = holder.Rollback(t.Context()) // the second time it has ended
			}
		})
	}
}

// watermill-sql's default schema sorts the whole backlog for each batch. A claim
// must look at a handful of rows, with the planner's statistics or without, when
// all is fresh, and when all comes again.
func TestAClaimDoesNotReadTheBacklog(t *testing.T) {
	t.Parallel()
	const backlog = 20_000
	d := newDatabase(t, map[string]any{})
	require.NoError(t, d.Prepare(t.Context(), []string{"topic"}, []string{"other"}))
	for range backlog / batch {
		d.publish(t, batch)
	}
	for _, change := range []string{
		`SELECT`,
		`ANALYZE lectern_broker.messages`,
		`UPDATE lectern_broker.messages SET due_at = now() - interval '1 minute', attempts = 1`,
		`ANALYZE lectern_broker.messages`,
	} {
		d.exec(t, change)
		require.Less(t, d.rowsRead(t), 10.0, "after %s", change)
	}
}

// rowsRead is the most rows that a part of a claim's plan reads.
func (d database) rowsRead(t *testing.T) float64 {
	t.Helper()
	query, args := d.ClaimQuery("topic", "group")
	var explained []byte
	row := d.outside.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+query, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	require.NoError(t, row.Scan(&explained))
	var plans []struct{ Plan planNode }
	require.NoError(t, json.Unmarshal(explained, &plans))
	return plans[0].Plan.most()
}

type planNode struct {
	Rows    float64 `json:"Actual Rows"`
	Loops   float64 `json:"Actual Loops"`
	Removed float64 `json:"Rows Removed by Filter"`
	Plans   []planNode
}

func (n planNode) most() float64 {
	most := (n.Rows + n.Removed) * n.Loops
	for _, inner := range n.Plans {
		most = max(most, inner.most())
	}
	return most
}
