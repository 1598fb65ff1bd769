package postgresbroker_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

// A message that kills its consumer is never nacked.
func TestWhatWasHandedOutTooOftenBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{"max_deliveries": 3})
	sent := d.publish(t, 1)
	d.exec(t, `UPDATE lectern_broker.messages SET attempts = 3, due_at = now(), holder = 'who died'`)
	_, msgs := subscribe(t, d.Broker)
	letter := d.deadLetter(t)
	require.Equal(t, sent[0].UUID, letter.UUID)
	require.Equal(t, "handed out 3 times, and never acknowledged", letter.Metadata.Get(ports.MetaDeadReason))
	d.requireNoneLeft(t, msgs)
}

func TestNoMessageIsGivenUpIfNoneShallBe(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{"max_deliveries": 0, "retry_delay": "1ms", "retry_delay_max": "1ms"})
	d.publish(t, 1)
	d.exec(t, `UPDATE lectern_broker.messages SET attempts = 1000000, due_at = now()`)
	_, msgs := subscribe(t, d.Broker)
	require.True(t, receive(t, msgs).Nack())
	require.True(t, receive(t, msgs).Ack())
	d.requireNoneLeft(t, msgs)
}

// Who registers groups by hand may forget it.
func TestWhatCanNotBecomeADeadLetterStays(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, map[string]any{"max_deliveries": 1, "retry_delay": "10ms", "retry_delay_max": "10ms"})
	d.exec(t, `DELETE FROM lectern_broker.subscriptions WHERE group_name = 'dead'`)
	sent := d.publish(t, 1)
	_, msgs := subscribe(t, d.Broker)
	require.True(t, receive(t, msgs).Nack())
	require.Eventually(t, func() bool {
		attempts, _ := d.value(t, `SELECT attempts FROM lectern_broker.messages`).(int32)
		return attempts > 2
	}, patience, tick)

	require.NoError(t, d.Prepare(t.Context(), []string{"topic"}, nil))
	require.Equal(t, sent[0].UUID, d.deadLetter(t).UUID)
	d.requireNoneLeft(t, msgs)
}

// docs/brokers.md says how to look at dead letters, and how to put one back.
func TestADeadLetterIsPutBackAsDocumented(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/brokers.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(document), -1)
	require.Len(t, blocks, 2)
	d := newDatabase(t, map[string]any{"max_deliveries": 1})
	sent := d.publish(t, 1)
	_, msgs := subscribe(t, d.Broker)
	require.True(t, receive(t, msgs).Nack())

	var uuid, topic, reason, at string
	require.Eventually(t, func() bool {
		return d.outside.QueryRow(t.Context(), blocks[0][1]).Scan(&uuid, &topic, &reason, &at) == nil
	}, patience, tick)
	require.Equal(t, []string{sent[0].UUID, "topic", "nacked 1 times"}, []string{uuid, topic, reason})
	d.exec(t, blocks[1][1], uuid)
	again := receive(t, msgs)
	require.Equal(t, sent[0].UUID, again.UUID)
	require.True(t, again.Ack())
	require.EqualValues(t, 0, d.value(t, `SELECT count(*) FROM lectern_broker.messages WHERE group_name = 'dead'`))
}

// deadLetter returns the first of the topic's dead letters.
func (d database) deadLetter(t *testing.T) *message.Message {
	t.Helper()
	sub, err := d.Subscriber(ports.GroupDead)
	require.NoError(t, err)
	letters, err := sub.Subscribe(t.Context(), ports.DeadTopic("topic"))
	require.NoError(t, err)
	letter := receive(t, letters)
	require.True(t, letter.Ack())
	return letter
}

func (d database) requireNoneLeft(t *testing.T, msgs <-chan *message.Message) {
	t.Helper()
	sent := d.publish(t, 1)
	m := receive(t, msgs)
	require.Equal(t, sent[0].UUID, m.UUID)
	require.True(t, m.Ack())
}
