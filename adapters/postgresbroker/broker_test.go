package postgresbroker_test

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgresbroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

// database is a prepared broker, and its tables as an outsider sees them.
type database struct {
	*postgresbroker.Broker
	outside *pgx.Conn
	dsn     string
}

func newDatabase(t *testing.T, raw map[string]any) database {
	t.Helper()
	dsn := stack.Database(t, "lectern_broker").Broker
	b := open(t, dsn, raw)
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	outside, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, outside.Close(context.WithoutCancel(t.Context()))) })
	return database{b, outside, dsn}
}

// value returns what a query for one value returns.
func (d database) value(t *testing.T, query string) any {
	t.Helper()
	var v any
	require.NoError(t, d.outside.QueryRow(t.Context(), query).Scan(&v))
	return v
}

func (d database) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := d.outside.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

func (d database) publish(t *testing.T, n int) []*message.Message {
	t.Helper()
	msgs := jobs(n)
	require.NoError(t, d.Publish("topic", msgs...))
	return msgs
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v, open := <-c:
		require.True(t, open, "the channel closed")
		return v
	case <-time.After(patience):
	}
	require.FailNow(t, "nothing came")
	var none T
	return none
}

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

// Only the ack deletes a row, and only its group's; the first row's offset is
// not 0, which watermill-sql would never acknowledge.
func TestAnAckDeletesItsGroupsRow(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{})
	require.NoError(t, d.Prepare(t.Context(), []string{"topic"}, []string{"other"}))
	sent := d.publish(t, 2)
	sub, msgs := subscribe(t, d.Broker)
	m := receive(t, msgs)
	require.Equal(t, sent[0].UUID, m.UUID)
	const rows = `SELECT string_agg(group_name || seq, ' ' ORDER BY group_name, seq) FROM lectern_broker.messages`
	before, _ := d.value(t, rows).(string)
	require.NotContains(t, before, "group0")
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

func TestWhoLostALeaseCanAckButNotNack(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{})
	sent := d.publish(t, 2)
	sub, msgs := subscribe(t, d.Broker)
	m, n := receive(t, msgs), receive(t, msgs)
	d.exec(t, `UPDATE lectern_broker.messages SET holder = 'another', due_at = now() + interval '1 hour'`)
	require.True(t, m.Ack())
	require.True(t, n.Nack())
	require.NoError(t, sub.Close())
	require.Equal(t, sent[1].UUID, d.value(t, `SELECT uuid FROM lectern_broker.messages WHERE holder = 'another'`))
}

// An error of the unmarshaller would keep the subscriber at this row for ever.
func TestAnUndecodableRowDoesNotStopTheRest(t *testing.T) {
	t.Parallel()
	for name, metadata := range map[string]string{"a list": `[1]`, "no texts": `{"a": {"b": 1}}`, "null": `null`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t, map[string]any{})
			d.exec(t, `INSERT INTO lectern_broker.messages (topic, group_name, uuid, payload, metadata)
				VALUES ('topic', 'group', 'by hand', '{}', $1)`, metadata)
			sent := d.publish(t, 1)
			_, msgs := subscribe(t, d.Broker)
			odd, next := receive(t, msgs), receive(t, msgs)
			require.Equal(t, "by hand", odd.UUID)
			require.Equal(t, "{}", string(odd.Payload))
			odd.Metadata.Set("key", "value") // there is a map
			require.Equal(t, sent[0].UUID, next.UUID)
			require.True(t, odd.Ack())
			require.True(t, next.Ack())
		})
	}
}

// No signal says that a row was put there by hand.
func TestPollingFindsWhatWasNotNotified(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{"poll_interval": "50ms"})
	_, msgs := subscribe(t, d.Broker)
	d.exec(t, `INSERT INTO lectern_broker.messages (topic, group_name, uuid, payload, metadata)
		VALUES ('topic', 'group', 'by hand', '{}', '{}')`)
	m := receive(t, msgs)
	require.Equal(t, "by hand", m.UUID)
	require.True(t, m.Ack())
}

func TestPublishingNotifiesOtherProcesses(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{})
	another := open(t, d.dsn, map[string]any{})
	signal, remove := another.Signal("topic")
	defer remove()
	_, err := another.Subscriber("group")
	require.NoError(t, err)
	receive(t, signal) // it listens
	d.publish(t, 1)
	receive(t, signal)
}

// Every connection is killed again and again, the listener's included.
func TestConsumersSurviveTheLossOfConnections(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{"lease": "1s", "retry_delay": "10ms"})
	_, msgs := subscribe(t, d.Broker)
	missing := map[string]bool{}
	for range 5 {
		for _, m := range d.publish(t, 20) {
			missing[m.UUID] = true
		}
		m := receive(t, msgs)
		d.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()`)
		delete(missing, m.UUID)
		m.Ack()
		require.Eventually(t, func() bool { return d.Ping(t.Context()) == nil }, patience, tick)
	}
	for len(missing) > 0 {
		m := receive(t, msgs)
		delete(missing, m.UUID)
		m.Ack()
	}
}

func TestPrepareMakesTheSchemaIfItMay(t *testing.T) {
	t.Parallel()
	db := stack.Database(t)
	mayNot := open(t, db.Broker, map[string]any{})
	require.ErrorContains(t, mayNot.Prepare(t.Context(), []string{"topic"}, []string{"group"}), "lectern_broker")

	may := open(t, db.Owner, map[string]any{"schema": "my-Broker"})
	require.NoError(t, may.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	require.NoError(t, may.Publish("topic", jobs(1)...))
	_, msgs := subscribe(t, may)
	require.True(t, receive(t, msgs).Ack())

	for _, name := range []string{"", "spaced out", "Курс", `quote"`} {
		require.Error(t, may.Prepare(t.Context(), []string{name}, nil), name)
		require.Error(t, may.Prepare(t.Context(), nil, []string{name}), name)
	}
}

// What an operator can mend must cost no message.
func TestWithoutTablesPublishingIsUnavailable(t *testing.T) {
	t.Parallel()
	b := open(t, stack.Database(t).Broker, map[string]any{})
	sent := jobs(1)
	var failed *ports.PublishError
	require.ErrorAs(t, b.Publish("topic", sent...), &failed)
	require.Equal(t, ports.Unavailable, failed.Failed[sent[0].UUID].Failure)
}
