package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaVariable names the environment variable with the address of the Kafka
// that the tests use: host:port, or several with commas between.
const KafkaVariable = "LECTERN_TEST_KAFKA"

// WithKafka adds Kafka to the servers of a run.
func WithKafka(n *needs) { *n = append(*n, need{variable: KafkaVariable, start: startKafka}) }

func startKafka(ctx context.Context) (*server, error) {
	node, process, err := launchKafkaSomewhere(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("there is no Kafka for the tests: %w: or set %s to the host:port of a server of version 4.1 "+
			"or later that is used for tests alone, with group.min.session.timeout.ms=100", err, KafkaVariable)
	}
	stop := func() error { process.kill(); return node.remove() }
	return &server{address: node.address(), stop: stop}, nil
}

// KafkaTopics is a test's share of the Kafka that all tests of a run use.
type KafkaTopics struct {
	Addresses []string
	Prefix    string // begins the names of the test's topics and groups
}

// Kafka returns the Kafka of the run and a prefix for the topics of the test,
// which are deleted when it ends. Tests may call it in parallel.
func Kafka(tb testing.TB) KafkaTopics {
	tb.Helper()
	address := os.Getenv(KafkaVariable)
	if address == "" {
		tb.Fatalf("%s is not set: let TestMain call stack.Main with stack.WithKafka, or run under with-stack", KafkaVariable)
	}
	k := KafkaTopics{strings.Split(address, ","), "test-" + strings.ToLower(rand.Text()) + "."}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := k.delete(ctx); err != nil {
			tb.Errorf("delete the test's topics: %v", err)
		}
	})
	return k
}

func (k KafkaTopics) delete(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addresses...))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	all, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	var mine []string
	for _, topic := range all.Names() {
		if strings.HasPrefix(topic, k.Prefix) {
			mine = append(mine, topic)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	deleted, err := admin.DeleteTopics(ctx, mine...)
	return errors.Join(err, deleted.Error())
}
