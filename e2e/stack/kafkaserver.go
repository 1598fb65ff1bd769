package stack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const kafkaReadyTimeout = time.Minute

// kafkaSettings are those of one node that is broker and controller, with what
// makes a small server start and rebalance fast. Topics of tests come and go.
const kafkaSettings = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
listeners=CONTROLLER://127.0.0.1:{controller},INTERNAL://127.0.0.1:{port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,SECURE:SASL_SSL
log.dirs={dir}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
file.delete.delay.ms=1000
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=65536
num.network.threads=2
num.io.threads=4
`

// KafkaServer is a Kafka for one test alone, which may die and come back. Its
// methods end the test when they fail, so call them on the test's goroutine.
type KafkaServer struct {
	tb      testing.TB
	node    *kafkaNode
	process *process // nil while down
}

// StartKafka starts an empty Kafka that ends with the test. Tests that need no
// outage use Kafka, which costs less.
func StartKafka(tb testing.TB) *KafkaServer {
	tb.Helper()
	return startKafkaServer(tb, nil)
}

func startKafkaServer(tb testing.TB, secure *kafkaSecurity) *KafkaServer {
	tb.Helper()
	node, process, err := launchKafkaSomewhere(tb.Context(), secure)
	if err != nil {
		tb.Fatal(err)
	}
	s := &KafkaServer{tb: tb, node: node, process: process}
	tb.Cleanup(func() {
		s.Kill()
		if err := node.remove(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Address is the host:port to begin with. It stays the same through Kill and Start.
func (s *KafkaServer) Address() string { return s.node.address() }

// Kill kills the server as a power cut would; when it returns, connections are
// refused. One that is down stays so.
func (s *KafkaServer) Kill() {
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// Start brings a server that was killed up again, with its data.
func (s *KafkaServer) Start() {
	s.tb.Helper()
	if s.process != nil {
		s.tb.Fatal("start Kafka: it is running")
	}
	process, err := s.node.launch(s.tb.Context())
	if err != nil {
		s.tb.Fatal(err)
	}
	s.process = process
}

// kafkaNode is a formatted folder of a Kafka, running or not.
type kafkaNode struct {
	program kafkaProgram
	dir     string
	port    int // and the two after it
	cluster string
}

// launchKafkaSomewhere finds ports. They can't be known to be free before the
// server has them.
func launchKafkaSomewhere(ctx context.Context, secure *kafkaSecurity) (*kafkaNode, *process, error) {
	program, err := findKafka(ctx)
	if err != nil {
		return nil, nil, err
	}
	for range portTries {
		node, err := formatKafka(ctx, program, firstPort+rand.IntN(ports), secure)
		if err != nil {
			return nil, nil, err
		}
		process, err := node.launch(ctx)
		if err == nil {
			return node, process, nil
		}
		if err := errors.Join(err, node.remove()); !errors.Is(err, errPortTaken) {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("start Kafka: %w, %d times over", errPortTaken, portTries)
}

// formatKafka makes a node that is ready to be launched.
func formatKafka(ctx context.Context, program kafkaProgram, port int, secure *kafkaSecurity) (node *kafkaNode, err error) {
	dir, err := tempDir()
	if err != nil {
		return nil, err
	}
	n := &kafkaNode{program: program, dir: dir, port: port, cluster: uuid.NewString()}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("prepare Kafka: %w", err), n.remove())
		}
	}()
	settings := strings.NewReplacer("{dir}", dir, "{port}", strconv.Itoa(port), "{controller}", strconv.Itoa(port+1)).Replace(kafkaSettings)
	args := []string{"format", "--cluster-id", n.cluster, "--config", n.file("server.properties")}
	if secure != nil {
		more, err := secure.settings(dir, port+2)
		if err != nil {
			return nil, err
		}
		settings += more
		args = append(args, secure.formatArgs()...)
	}
	for name, content := range map[string]string{"server.properties": settings, "log4j.properties": kafkaLogSettings} {
		if err := os.WriteFile(n.file(name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	if said, err := program.command(ctx, dir, "kafka.tools.StorageTool", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format its storage: %w; it said:\n%s", err, said)
	}
	return n, nil
}

// launch returns once the server answers. It outlives the context.
func (n *kafkaNode) launch(ctx context.Context) (*process, error) {
	p, err := startProcess(n.program.command(context.WithoutCancel(ctx), n.dir, "kafka.Kafka", n.file("server.properties")))
	if err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	if err := p.waitReady(ctx, kafkaReadyTimeout, "Address already in use", n.answers); err != nil {
		p.kill()
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	return p, nil
}

// answers asks whoever listens which cluster it is of: it might be another
// test's Kafka, before ours has noticed.
func (n *kafkaNode) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.address())
	if err != nil {
		return err // at once, where the client below would try again
	}
	_ = conn.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(n.address()))
	if err != nil {
		return err
	}
	defer client.Close()
	brokers, err := kadm.NewClient(client).BrokerMetadata(ctx)
	switch {
	case err != nil:
		return err
	case brokers.Cluster != n.cluster:
		return errPortTaken
	case len(brokers.Brokers) == 0:
		return errors.New("it has not joined its cluster yet")
	}
	return nil
}

func (n *kafkaNode) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

func (n *kafkaNode) file(name string) string { return filepath.Join(n.dir, name) }

func (n *kafkaNode) remove() error {
	if err := os.RemoveAll(n.dir); err != nil {
		return fmt.Errorf("remove Kafka's folder: %w", err)
	}
	return nil
}
