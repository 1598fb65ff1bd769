package stack

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATSVariable names the environment variable with the nats:// address of the
// NATS server, with JetStream, that the tests use.
const NATSVariable = "LECTERN_TEST_NATS"

// WithNATS adds NATS to the servers of a run.
func WithNATS(n *needs) { *n = append(*n, need{variable: NATSVariable, start: startNATS}) }

func startNATS(ctx context.Context) (*server, error) {
	node, err := launchNATSSomewhere(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("there is no NATS for the tests: %w: or set %s to the nats:// address of a server "+
			"of version 2.10 or later, with JetStream, that is used for tests alone", err, NATSVariable)
	}
	stop := func() error { node.kill(); return node.remove() }
	return &server{address: node.address(), stop: stop}, nil
}

// NATSStreams is a test's share of the NATS that all tests of a run use.
type NATSStreams struct {
	Address string // nats://
	Prefix  string // begins the test's subjects and, with _ for each dot, the names of its streams
}

// NATS returns the NATS of the run and a prefix for the subjects of the test,
// whose streams are deleted when it ends. Tests may call it in parallel.
func NATS(tb testing.TB) NATSStreams {
	tb.Helper()
	address := os.Getenv(NATSVariable)
	if address == "" {
		tb.Fatalf("%s is not set: let TestMain call stack.Main with stack.WithNATS, or run under with-stack", NATSVariable)
	}
	s := NATSStreams{address, "test-" + strings.ToLower(rand.Text()) + "."}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := s.delete(ctx); err != nil {
			tb.Errorf("delete the test's streams: %v", err)
		}
	})
	return s
}

func (s NATSStreams) delete(ctx context.Context) error {
	conn, err := nats.Connect(s.Address, nats.Timeout(stopTimeout))
	if err != nil {
		return err
	}
	defer conn.Close()
	streams, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	names := streams.StreamNames(ctx, jetstream.WithStreamListSubject(s.Prefix+">"))
	for name := range names.Name() {
		if err := streams.DeleteStream(ctx, name); err != nil {
			return fmt.Errorf("delete stream %s: %w", name, err)
		}
	}
	return names.Err()
}

// NATSServer is a NATS for one test alone, which may die and come back. Its
// methods end the test when they fail, so call them on the test's goroutine.
type NATSServer struct {
	tb   testing.TB
	node *natsNode
}

// StartNATS starts an empty NATS that ends with the test. config is added to
// its configuration. Tests that need no outage and no settings use NATS, which
// costs less.
func StartNATS(tb testing.TB, config string) *NATSServer {
	tb.Helper()
	node, err := launchNATSSomewhere(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	s := &NATSServer{tb, node}
	tb.Cleanup(func() {
		s.Kill()
		if err := node.remove(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Address is the nats:// address. It stays the same through Kill and Start.
func (s *NATSServer) Address() string { return s.node.address() }

// Kill kills the server; when it returns, connections are refused. What it had
// written stays. One that is down stays so.
func (s *NATSServer) Kill() { s.node.kill() }

// Configure replaces what StartNATS was given as config, from the next Start on.
func (s *NATSServer) Configure(config string) {
	s.tb.Helper()
	if err := s.node.configure(config); err != nil {
		s.tb.Fatal(err)
	}
}

// Start brings a server that was killed up again, with its data.
func (s *NATSServer) Start() {
	s.tb.Helper()
	if s.node.process != nil {
		s.tb.Fatal("start NATS: it is running")
	}
	ctx, cancel := context.WithTimeout(s.tb.Context(), time.Minute)
	defer cancel()
	if err := s.node.launch(ctx); err != nil {
		s.tb.Fatal(err)
	}
}
