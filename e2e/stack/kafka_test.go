package stack_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lectern/e2e/stack"
)

func TestKafkaTopicsGoWithTheirTest(t *testing.T) {
	t.Parallel()
	var k stack.KafkaTopics
	t.Run("a test", func(t *testing.T) {
		k = stack.Kafka(t)
		require.NotEqual(t, k.Prefix, stack.Kafka(t).Prefix)
		_, err := kafkaAdmin(t, k.Addresses...).CreateTopic(t.Context(), 2, 1, nil, k.Prefix+"topic")
		require.NoError(t, err)
	})
	// The controller deletes a topic before the broker that is asked has heard of it.
	admin := kafkaAdmin(t, k.Addresses...)
	require.Eventually(t, func() bool {
		topics, err := admin.ListTopics(t.Context(), k.Prefix+"topic")
		return err == nil && !topics.Has(k.Prefix+"topic")
	}, 30*time.Second, 10*time.Millisecond)
}

func TestKafkaServerKeepsItsAddressAndDataThroughItsDeath(t *testing.T) {
	t.Parallel()
	server := stack.StartKafka(t)
	address := server.Address()
	_, err := kafkaAdmin(t, address).CreateTopic(t.Context(), 1, 1, nil, "topic")
	require.NoError(t, err)
	sent := &kgo.Record{Topic: "topic", Value: []byte("value")}
	require.NoError(t, kafkaClient(t, address).ProduceSync(t.Context(), sent).FirstErr())

	server.Kill()
	_, err = (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", address)
	require.ErrorContains(t, err, "refused")

	server.Start()
	require.Equal(t, address, server.Address())
	fetched := kafkaClient(t, address, kgo.ConsumeTopics("topic")).PollFetches(t.Context())
	require.NoError(t, fetched.Err())
	require.Equal(t, "value", string(fetched.Records()[0].Value))
}

func TestRunStartsKafkaAndStopsIt(t *testing.T) {
	temp, said := stack.Dir(t), filepath.Join(stack.Dir(t), "said")
	t.Setenv("TMPDIR", temp)
	t.Setenv(stack.KafkaVariable, "")
	_, err := stack.Run(t.Context(), []string{"sh", "-c", `printf %s "$LECTERN_TEST_KAFKA" > "$0"`, said}, stack.WithKafka)
	require.NoError(t, err)
	address, err := os.ReadFile(said)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(address), "127.0.0.1:"), "the command was given %q", address)
	_, err = (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", string(address))
	require.ErrorContains(t, err, "refused")
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestKafkaThatCannotBeHadFailsTheRunAndSaysWhatToDo(t *testing.T) {
	empty := stack.Dir(t)
	for _, name := range []string{stack.KafkaVariable, "JAVA_HOME"} {
		t.Setenv(name, "")
	}
	for _, name := range []string{"PATH", "XDG_CACHE_HOME", "HOME"} {
		t.Setenv(name, empty)
	}
	_, err := stack.Run(t.Context(), []string{os.Args[0]}, stack.WithKafka)
	for _, remedy := range []string{"JDK 17", "Maven", stack.KafkaVariable} {
		require.ErrorContains(t, err, remedy)
	}
	require.Contains(t, fatal(t, func(tb testing.TB) { stack.StartKafka(tb) }), "install a JDK 17")
	require.Contains(t, fatal(t, func(tb testing.TB) { stack.Kafka(tb) }), "stack.WithKafka")
}

// The download itself is what every run on a new machine begins with.
func TestKafkaIsFetchedOnceAndWholeThoughTwoFetch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kafka")
	calls := fakeMaven(t, `for a; do case $a in -DoutputDirectory=*) mkdir "${a#*=}"; echo jar > "${a#*=}/kafka.jar";; esac; done`)
	var both sync.WaitGroup
	var errs [2]error
	for i := range errs {
		both.Go(func() { _, errs[i] = stack.CachedKafka(t.Context(), dir) })
	}
	both.Wait()
	require.Equal(t, [2]error{}, errs)
	require.Equal(t, 1, calls())
	require.FileExists(t, filepath.Join(dir, "kafka.jar"))
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{dir, dir + ".lock"}, left)
}

func TestFailedFetchOfKafkaSaysWhyAndLeavesNothingHalfDone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kafka")
	fakeMaven(t, "echo the network is down; exit 1")
	_, err := stack.CachedKafka(t.Context(), dir)
	require.ErrorContains(t, err, "the network is down")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*"))
	require.NoError(t, err)
	require.Len(t, left, 1, "the lock alone, not %v", left)
}

func kafkaClient(t *testing.T, address string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(address))...)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func kafkaAdmin(t *testing.T, addresses ...string) *kadm.Client {
	t.Helper()
	client, err := kadm.NewOptClient(kgo.SeedBrokers(addresses...))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}
