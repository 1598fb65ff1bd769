package kafkabroker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What franz-go invites, and no test elsewhere would catch: see the table of
// traps in docs/adding-a-broker.md.

// A message that is produced by itself is a record batch by itself, with a request
// and an answer of its own.
func TestABatchIsPublishedAsAFewRecordBatches(t *testing.T) {
	t.Parallel()
	const n = 500
	s := newShare(t, map[string]any{"partitions": 1})
	s.publish(t, n)
	var read batches
	client, err := kgo.NewClient(kgo.SeedBrokers(s.kafka.Addresses...), kgo.ConsumeTopics(s.name()), kgo.WithHooks(&read))
	require.NoError(t, err)
	defer client.Close()
	for got := 0; got < n; {
		fetches := client.PollFetches(t.Context())
		require.NoError(t, fetches.Err())
		got += fetches.NumRecords()
	}
	require.Less(t, read.count.Load(), int64(n/10))
}

// batches counts the record batches that a client reads.
type batches struct{ count atomic.Int64 }

// OnFetchBatchRead implements kgo.HookFetchBatchRead.
func (b *batches) OnFetchBatchRead(kgo.BrokerMetadata, string, int32, kgo.FetchBatchMetrics) {
	b.count.Add(1)
}

// A client lingers by default. ProduceSync cuts that short, but not for the first
// batch to a topic, of which the client has yet to learn its partitions.
func TestPublishingDoesNotLinger(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Duration(0), newShare(t, map[string]any{}).Linger())
}
