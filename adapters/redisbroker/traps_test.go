package redisbroker_test

import (
	"bufio"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

// What watermill-redisstream does by itself, and no test elsewhere would catch:
// see the table of traps in docs/adding-a-broker.md.

// watermill-redisstream's publisher waits for each entry's id before it sends the
// next. Here no id gets through before the server has all entries.
func TestABatchIsPublishedWithoutWaitingForAnswers(t *testing.T) {
	t.Parallel()
	const n = 500
	s := newStream(t, map[string]any{})
	whole := make(chan struct{})
	pass := sync.OnceFunc(func() { close(whole) })
	defer pass()
	at, err := url.Parse(s.address)
	require.NoError(t, err)
	at.Host = relay(t, listen(t), at.Host, func(to io.Writer, from io.Reader) { passIDsAfter(whole, to, from) })
	b := open(t, at.String(), map[string]any{"timeout": "1m"})
	published := make(chan error, 1)
	go func() { published <- b.Publish("topic", jobs(n)...) }()
	require.Eventually(t, func() bool {
		return s.outside.XLen(t.Context(), prefix+"topic").Val() == n
	}, patience, tick, "it waits for answers")
	pass()
	require.NoError(t, <-published)
}

func passIDsAfter(whole <-chan struct{}, to io.Writer, from io.Reader) {
	for lines := bufio.NewReader(from); ; {
		line, err := lines.ReadString('\n')
		if first, _, found := strings.Cut(line, "-"); found && len(first) == 13 {
			<-whole
		}
		if _, _ = io.WriteString(to, line); err != nil {
			return
		}
	}
}

// watermill-redisstream's subscriber reads one entry a call, and acknowledges one
// a call. The acks here gather while the server executes none.
func TestEntriesAreReadAndAcknowledgedManyAtOnce(t *testing.T) {
	t.Parallel()
	const n, few = 200, 20
	address := stack.StartRedis(t).Address() // whose calls are all ours
	s := stream{open(t, address, map[string]any{"concurrency": n, "timeout": "1m"}), admin(t, address), address}
	require.NoError(t, s.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	s.publish(t, n)
	_, msgs := subscribe(t, s.Broker)
	got := make([]*message.Message, n)
	for i := range got {
		got[i] = receive(t, msgs)
	}
	require.Less(t, s.calls(t, "xreadgroup"), few)

	require.NoError(t, s.outside.Do(t.Context(), "CLIENT", "PAUSE", time.Minute.Milliseconds(), "WRITE").Err())
	for _, m := range got {
		require.True(t, m.Ack())
	}
	for _, m := range got {
		<-m.Context().Done() // its ack was seen
	}
	require.NoError(t, s.outside.Do(t.Context(), "CLIENT", "UNPAUSE").Err())
	require.Eventually(t, func() bool { return len(s.pending(t, "")) == 0 }, patience, tick)
	require.Less(t, s.calls(t, "xack"), few)
}

// calls is how often the server was asked for a command.
func (s stream) calls(t *testing.T, command string) int {
	t.Helper()
	stats, err := s.outside.Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	found := regexp.MustCompile(`cmdstat_` + command + `:calls=(\d+)`).FindStringSubmatch(stats)
	require.NotNil(t, found, "it was never asked for "+command)
	calls, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return calls
}

// watermill-redisstream's subscriber sends a nacked message again at once, and
// again, with its back to all others.
func TestANackedMessageIsNotResentInPlace(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"concurrency": 1, "retry_delay": "1h", "retry_delay_max": "1h"})
	sent := s.publish(t, 2)
	_, msgs := subscribe(t, s.Broker)
	require.True(t, receive(t, msgs).Nack())
	m := receive(t, msgs)
	require.Equal(t, sent[1].UUID, m.UUID)
	require.True(t, m.Ack())
}
