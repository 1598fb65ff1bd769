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
