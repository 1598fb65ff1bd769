package kafkabroker_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/adapters/kafkabroker"
	"lectern/ports"
)

// Other Watermill services read it as they read watermill-kafka's.
func TestARecordIsKeyedByItsSubjectAndHasWatermillsHeader(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{})
	sent := s.publish(t, 1)[0]
	client, err := kgo.NewClient(kgo.SeedBrokers(s.kafka.Addresses...), kgo.ConsumeTopics(s.name()))
	require.NoError(t, err)
	defer client.Close()
	got := client.PollFetches(t.Context()).Records()[0]
	require.Equal(t, "subject", string(got.Key))
	require.Equal(t, string(sent.Payload), string(got.Value))
	headers := map[string]string{}
	for _, h := range got.Headers {
		headers[h.Key] = string(h.Value)
	}
	require.Equal(t, sent.UUID, headers["_watermill_message_uuid"])
	delete(headers, "_watermill_message_uuid")
	require.Equal(t, map[string]string(sent.Metadata), headers)
}

// The library's defaults, which an option of ours might have turned off.
func TestPublishingIsIdempotent(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 1})
	s.publish(t, 1)
	s.publish(t, 1)
	described, err := s.outside.DescribeProducers(t.Context(), kadm.TopicsSet{s.name(): {0: {}}})
	require.NoError(t, err)
	var producers []kadm.DescribedProducer
	described.EachProducer(func(p kadm.DescribedProducer) { producers = append(producers, p) })
	require.Len(t, producers, 1)
	require.EqualValues(t, 1, producers[0].LastSequence, "records are numbered")
}

// The broker would make a topic for whoever asks for it, by default.
func TestNothingButPrepareMakesATopic(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{})
	sent := jobs(2)
	requireFailure(t, ports.Refused, s.Publish("unknown", sent...), sent...)
	requireFailure(t, ports.Refused, s.Publish("no name", sent...), sent...)
	sub, err := s.Subscriber("group")
	require.NoError(t, err)
	_, err = sub.Subscribe(t.Context(), "unknown")
	require.ErrorContains(t, err, "Prepare")
	_, err = s.Topics(t.Context(), []string{"unknown"}, []string{"group"})
	require.NoError(t, err)

	topics, err := s.outside.ListTopics(t.Context(), s.kafka.Prefix+"unknown")
	require.NoError(t, err)
	require.False(t, topics.Has(s.kafka.Prefix+"unknown"))
}

// No message is at fault when a topic is deleted, or the cluster is another one now.
func TestATopicThatVanishedMakesPublishingUnavailable(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{})
	publisher := open(t, s.kafka, map[string]any{}) // which relies on somebody else's Prepare
	require.NoError(t, publisher.Publish("topic", jobs(1)...))
	_, err := s.outside.DeleteTopics(t.Context(), s.name())
	require.NoError(t, err)
	for _, b := range []*kafkabroker.Broker{s.Broker, publisher} {
		lost := jobs(2)
		err := b.Publish("topic", lost...)
		requireFailure(t, ports.Unavailable, err, lost...)
		require.ErrorContains(t, err, s.name()+" is gone")
		require.ErrorContains(t, err, "Prepare")
	}
	lost := jobs(1)
	requireFailure(t, ports.Refused, open(t, s.kafka, map[string]any{}).Publish("topic", lost...), lost...)

	require.NoError(t, s.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	for _, b := range []*kafkabroker.Broker{s.Broker, publisher} {
		require.Eventually(t, func() bool { return b.Publish("topic", jobs(1)...) == nil }, patience, tick)
	}
}

// A broker refuses a batch as a whole.
func TestOnlyWhatIsTooLargeItselfIsRefused(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 1})
	limit := "2000"
	altered, err := s.outside.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &limit}}, s.name())
	require.NoError(t, err)
	require.NoError(t, altered[0].Err)

	first, large, last := newMessage("first"), newMessage(incompressible(3000)), newMessage("last")
	requireFailure(t, ports.Refused, s.Publish("topic", first, large, last), large)
	_, msgs := subscribe(t, s.Broker)
	for _, want := range []string{"first", "last"} {
		m := receive(t, msgs)
		require.Equal(t, want, string(m.Payload))
		require.True(t, m.Ack())
	}

	err = s.Prepare(t.Context(), []string{"topic"}, []string{"group"})
	require.ErrorContains(t, err, s.name()+" accepts 2000 bytes")
	require.ErrorContains(t, err, "max_message_bytes")
}

func TestTopicsAreMadeAsTheOptionsSayAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{"partitions": 3, "retention": "48h", "max_message_bytes": 2 << 20})
	another := open(t, s.kafka, map[string]any{"partitions": 5})
	require.NoError(t, another.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	topics, err := s.outside.ListTopics(t.Context(), s.name(), s.name()+"_dead")
	require.NoError(t, err)
	require.Len(t, topics[s.name()].Partitions, 3)
	require.Len(t, topics[s.name()+"_dead"].Partitions, 1)
	configs, err := s.outside.DescribeTopicConfigs(t.Context(), s.name())
	require.NoError(t, err)
	got := map[string]string{}
	for _, c := range configs[0].Configs {
		got[c.Key] = c.MaybeValue()
	}
	require.Equal(t, "172800000", got["retention.ms"])
	require.Equal(t, "2162688", got["max.message.bytes"])
}

func TestWithoutCreateTopicsPrepareSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{})
	b := open(t, s.kafka, map[string]any{"create_topics": false})
	err := b.Prepare(t.Context(), []string{"topic", "another"}, []string{"group"})
	require.ErrorContains(t, err, "create_topics is false: create "+s.kafka.Prefix+"another, "+s.kafka.Prefix+"another_dead")
	require.NoError(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group", "new"}), "groups are registered all the same")
}

func TestAReplicationThatTheClusterHasNotIsTold(t *testing.T) {
	t.Parallel()
	s := newShare(t, map[string]any{})
	b := open(t, s.kafka, map[string]any{"replication": 3})
	err := b.Prepare(t.Context(), []string{"another"}, []string{"group"})
	require.ErrorIs(t, err, kerr.InvalidReplicationFactor)
	require.ErrorContains(t, err, s.kafka.Prefix+"another")
}

// incompressible is text that stays as large as it is.
func incompressible(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(newMessage("").UUID)
	}
	return b.String()
}
