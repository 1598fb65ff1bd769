package stack_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestNATSStreamsGoWithTheirTest(t *testing.T) {
	t.Parallel()
	var s stack.NATSStreams
	t.Run("a test", func(t *testing.T) {
		s = stack.NATS(t)
		require.NotEqual(t, s.Prefix, stack.NATS(t).Prefix)
		makeStream(t, s.Address, s.Prefix+"topic")
	})
	_, err := natsStreams(t, s.Address).StreamNameBySubject(t.Context(), s.Prefix+"topic")
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

func TestNATSServerKeepsItsAddressAndDataThroughItsDeath(t *testing.T) {
	t.Parallel()
	server := stack.StartNATS(t, "max_payload: 1234")
	address := server.Address()
	makeStream(t, address, "topic")
	_, err := natsStreams(t, address).Publish(t.Context(), "topic", []byte("value"))
	require.NoError(t, err)

	server.Kill()
	_, err = (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "nats://"))
	require.ErrorContains(t, err, "refused")

	server.Start()
	require.Equal(t, address, server.Address())
	streams := natsStreams(t, address)
	require.EqualValues(t, 1234, streams.Conn().MaxPayload(), "its settings too")
	stream, err := streams.Stream(t.Context(), streamName)
	require.NoError(t, err)
	m, err := stream.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, "value", string(m.Data))
}

func TestRunStartsNATSAndStopsIt(t *testing.T) {
	temp, said := stack.Dir(t), filepath.Join(stack.Dir(t), "said")
	t.Setenv("TMPDIR", temp)
	t.Setenv(stack.NATSVariable, "")
	_, err := stack.Run(t.Context(), []string{"sh", "-c", `printf %s "$LECTERN_TEST_NATS" > "$0"`, said}, stack.WithNATS)
	require.NoError(t, err)
	address, err := os.ReadFile(said)
	require.NoError(t, err)
	host, found := strings.CutPrefix(string(address), "nats://")
	require.True(t, found, "the command was given %q", address)
	_, err = (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", host)
	require.ErrorContains(t, err, "refused")
	left, err := filepath.Glob(filepath.Join(temp, "lectern-stack-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNATSThatCannotBeHadFailsTheRunAndSaysWhatToDo(t *testing.T) {
	t.Setenv(stack.NATSVariable, "")
	t.Setenv("PATH", stack.Dir(t))
	_, err := stack.Run(t.Context(), []string{os.Args[0]}, stack.WithNATS)
	for _, remedy := range []string{"go tool", stack.NATSVariable} {
		require.ErrorContains(t, err, remedy)
	}
}

const streamName = "stack-test"

func makeStream(t *testing.T, address, subject string) {
	t.Helper()
	_, err := natsStreams(t, address).CreateStream(t.Context(), jetstream.StreamConfig{Name: streamName, Subjects: []string{subject}})
	require.NoError(t, err)
}

func natsStreams(t *testing.T, address string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(address)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	streams, err := jetstream.New(conn)
	require.NoError(t, err)
	return streams
}
