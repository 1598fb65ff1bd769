package redisbroker_test

import (
	"io"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/adapters/redisbroker"
	"lectern/e2e/stack"
	"lectern/ports"
)

// A stock consumer's claim fails for all entries when one of them was deleted.
func TestDeletedEntriesOfADeadConsumerLoseNoOther(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"lease": "100ms"})
	sent := s.publish(t, 3)
	taken := s.take(t, "dead", 3)
	require.NoError(t, s.outside.XDel(t.Context(), prefix+"topic", taken[1].ID).Err())

	_, msgs := subscribe(t, s.Broker)
	for _, want := range []string{sent[0].UUID, sent[2].UUID} {
		m := receive(t, msgs)
		require.Equal(t, want, m.UUID)
		require.True(t, m.Ack())
	}
	require.Eventually(t, func() bool { return len(s.pending(t, "")) == 0 }, patience, tick, "the deleted one is settled")
}

// Nothing but the server knows of the delay, and of how often it was handed out.
func TestADelaySurvivesTheDeathOfItsConsumer(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"retry_delay": "300ms"})
	sent := s.publish(t, 1)
	_, msgs := subscribe(t, s.Broker)
	began := time.Now()
	require.True(t, receive(t, msgs).Nack())
	require.Eventually(t, func() bool { return len(s.pending(t, redisbroker.DelayedConsumer)) == 1 }, patience, tick)
	require.NoError(t, s.Close())
	require.EqualValues(t, 1, s.pending(t, "")[0].RetryCount)

	_, msgs = subscribe(t, open(t, s.address, map[string]any{"retry_delay": "300ms"}))
	m := receive(t, msgs)
	require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
	require.Equal(t, sent[0].UUID, m.UUID)
	require.EqualValues(t, 2, s.pending(t, "")[0].RetryCount)
	require.True(t, m.Ack())
}

func TestRenewingALeaseCountsNoDelivery(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"lease": "100ms"})
	s.publish(t, 1)
	_, msgs := subscribe(t, s.Broker)
	m := receive(t, msgs)
	<-time.After(400 * time.Millisecond) // a dozen renewals
	require.EqualValues(t, 1, s.pending(t, "")[0].RetryCount)
	require.True(t, m.Ack())
}

// As if the consumer had been frozen past its lease.
func TestWhoLostALeaseCanAckButNotNack(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"lease": "150ms"})
	s.publish(t, 2)
	sub, msgs := subscribe(t, s.Broker)
	m, n := receive(t, msgs), receive(t, msgs)
	pending := s.pending(t, "")
	for _, e := range pending {
		require.NoError(t, s.outside.XClaim(t.Context(), &redis.XClaimArgs{
			Stream: prefix + "topic", Group: "group", Consumer: "another", Messages: []string{e.ID},
		}).Err())
	}
	require.True(t, m.Ack())
	require.True(t, n.Nack())
	<-time.After(100 * time.Millisecond) // two renewals, which must not take them back
	require.NoError(t, sub.Close())
	left := s.pending(t, "")
	require.Len(t, left, 1)
	require.Equal(t, pending[1].ID, left[0].ID)
	require.Equal(t, "another", left[0].Consumer)
}

// A nack whose answer was lost is told again. The message may be in hand again by
// then, of the same consumer even.
func TestANackThatIsToldTwiceGivesBackNoLaterDelivery(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	s.publish(t, 1)
	id := s.take(t, "me", 1)[0].ID
	nack := func(n int64) {
		require.NoError(t, s.Nack(t.Context(), "topic", "group", "me", id, n))
	}
	nack(1)
	require.Len(t, s.pending(t, redisbroker.DelayedConsumer), 1)

	for _, who := range []string{"me", "another"} {
		require.NoError(t, s.outside.Do(t.Context(), "XCLAIM", prefix+"topic", "group", who, 0, id, "RETRYCOUNT", 2, "JUSTID").Err())
		nack(1)
		require.Len(t, s.pending(t, who), 1, "it was taken from %s", who)
		require.EqualValues(t, 2, s.pending(t, who)[0].RetryCount)
	}

	require.NoError(t, s.outside.Do(t.Context(), "XCLAIM", prefix+"topic", "group", "me", 0, id, "RETRYCOUNT", 2, "JUSTID").Err())
	nack(2)
	require.Len(t, s.pending(t, redisbroker.DelayedConsumer), 1)
}

// As long as a consumer has to tell it again, it leaves the message alone.
func TestAMessageIsInHandOnceThoughTheAnswerToItsNackIsLost(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	at, err := url.Parse(s.address)
	require.NoError(t, err)
	lossy := newLossyListener(listen(t), "group\r\n$7\r\n"+redisbroker.DelayedConsumer) // of a script's arguments: group, to
	at.Host = relay(t, lossy, at.Host, func(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) })
	_, msgs := subscribe(t, open(t, at.String(), map[string]any{"retry_delay": "1ms", "lease": "300ms"}))
	s.publish(t, 1)
	require.True(t, receive(t, msgs).Nack())
	<-lossy.withheld
	<-time.After(300 * time.Millisecond) // a few looks at what is due, as it is
	close(lossy.cut)

	m := receive(t, msgs)
	select {
	case <-msgs:
		require.Fail(t, "the message is in hand twice")
	case <-time.After(300 * time.Millisecond):
	}
	require.EqualValues(t, 2, s.pending(t, "")[0].RetryCount)
	require.True(t, m.Ack())
}

// A message that takes its process with it is given up as well.
func TestWhatIsNeverSettledBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"lease": "100ms", "max_deliveries": 3})
	sent := s.publish(t, 2)
	entries := s.take(t, "dead", 2)
	require.NoError(t, s.outside.Do(t.Context(), "XCLAIM", prefix+"topic", "group", "dead", 0, entries[0].ID, "RETRYCOUNT", 3, "JUSTID").Err())

	_, msgs := subscribe(t, s.Broker)
	m := receive(t, msgs)
	require.Equal(t, sent[1].UUID, m.UUID)
	require.True(t, m.Ack())
	letter := receive(t, s.deadLetters(t))
	require.Equal(t, sent[0].UUID, letter.UUID)
	require.Equal(t, "handed out 3 times and never settled", letter.Metadata.Get(ports.MetaDeadReason))
	require.Equal(t, prefix+"topic "+entries[0].ID, letter.Metadata.Get(ports.MetaDeadOrigin))
	require.True(t, letter.Ack())
}

// Nobody gives up a dead letter: neither one that can't be read, nor one whose
// consumers died.
func TestADeadLetterIsHandedOutWhateverItIs(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"lease": "100ms", "max_deliveries": 1})
	dead := ports.DeadTopic("topic")
	sent := jobs(1)
	require.NoError(t, s.Publish(dead, sent...))
	require.NoError(t, s.outside.XReadGroup(t.Context(), &redis.XReadGroupArgs{
		Group: ports.GroupDead, Consumer: "who died", Streams: []string{prefix + dead, ">"}, Count: 1,
	}).Err())
	add(t, s.outside, dead, map[string]any{"payload": "not a message"})

	letters := s.deadLetters(t)
	first, second := receive(t, letters), receive(t, letters)
	require.ElementsMatch(t, []string{"not a message", string(sent[0].Payload)}, []string{string(first.Payload), string(second.Payload)})
	require.True(t, first.Ack())
	require.True(t, second.Ack())
}

// Not even by a message that nobody can publish as a dead letter.
func TestADeadLetterThatCanNotBePublishedStays(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"retry_delay": "10ms", "max_deliveries": 1})
	require.NoError(t, s.outside.Del(t.Context(), prefix+ports.DeadTopic("topic")).Err())
	sent := s.publish(t, 1)
	_, msgs := subscribe(t, s.Broker)
	require.True(t, receive(t, msgs).Nack())
	m := receive(t, msgs)
	require.Equal(t, sent[0].UUID, m.UUID)
	require.True(t, m.Ack())
}

// What fast handlers make a consumer take in advance, slow ones give back.
func TestAHandlerThatTurnsSlowKeepsNothingFromOthers(t *testing.T) {
	t.Parallel()
	const n = 3000
	s := newStream(t, map[string]any{"concurrency": 2})
	sent := s.publish(t, n)
	_, slow := subscribe(t, s.Broker)
	seen := 0
	for len(s.pending(t, "")) < 100 && seen < n/2 { // until it takes in advance
		for range 100 {
			require.True(t, receive(t, slow).Ack())
			seen++
		}
	}
	require.Less(t, seen, n/2, "it takes nothing in advance")
	held := receive(t, slow)
	require.Equal(t, sent[seen].UUID, held.UUID)

	_, msgs := subscribe(t, open(t, s.address, map[string]any{}))
	got := map[string]bool{}
	for range n - seen - 2 {
		m := receive(t, msgs)
		require.False(t, got[m.UUID], "a message came twice")
		got[m.UUID] = true
		require.True(t, m.Ack())
	}
	require.True(t, held.Ack())
	require.True(t, receive(t, slow).Ack(), "the other one of two")
}

// What a consumer gives back is as fresh as before, and comes before the rest.
func TestWhatIsGivenBackKeepsItsOrder(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"concurrency": 10})
	sent := s.publish(t, 30)
	sub, msgs := subscribe(t, s.Broker)
	require.True(t, receive(t, msgs).Ack())
	require.NoError(t, sub.Close())
	for _, e := range s.pending(t, redisbroker.ReturnedConsumer) {
		require.EqualValues(t, 0, e.RetryCount)
	}
	_, msgs = subscribe(t, s.Broker)
	for i, want := range sent[1:] {
		m := receive(t, msgs)
		require.Equal(t, want.UUID, m.UUID, strconv.Itoa(i))
		require.True(t, m.Ack())
	}
}

// An answer that never arrived leaves entries that their owner doesn't know of.
func TestAClosedConsumerLeavesNeitherItsNameNorMessages(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"concurrency": 1})
	sent := s.publish(t, 2)
	sub, msgs := subscribe(t, s.Broker)
	m := receive(t, msgs)
	me := s.consumers(t)
	require.Len(t, me, 1)
	s.take(t, me[0], 1) // as if it had
	require.True(t, m.Ack())
	require.NoError(t, sub.Close())
	require.Equal(t, []string{redisbroker.ReturnedConsumer}, s.consumers(t))

	sub, msgs = subscribe(t, s.Broker)
	m = receive(t, msgs)
	require.Equal(t, sent[1].UUID, m.UUID)
	require.True(t, m.Ack())
	require.NoError(t, sub.Close())
	require.Equal(t, []string{redisbroker.ReturnedConsumer}, s.consumers(t), "which is never deleted")
	require.Empty(t, s.pending(t, ""))
}

// And so does one whose connection broke, without waiting for its lease.
func TestWhatAConsumerOwnsWithoutKnowingComesAfterALostConnection(t *testing.T) {
	t.Parallel()
	address := stack.StartRedis(t).Address() // whose clients are all ours
	s := stream{open(t, address, map[string]any{"lease": "1h"}), admin(t, address), address}
	require.NoError(t, s.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	_, msgs := subscribe(t, s.Broker)
	s.publish(t, 1)
	require.True(t, receive(t, msgs).Ack())
	me := s.consumers(t)[0]
	require.Eventually(t, func() bool { // it reads again: of a connection that it does not use it would not miss a thing
		info, err := s.outside.Info(t.Context(), "clients").Result()
		return err == nil && strings.Contains(info, "blocked_clients:1\r")
	}, 20*time.Second, time.Millisecond)
	_, err := s.outside.TxPipelined(t.Context(), func(pipe redis.Pipeliner) error {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: prefix + "topic", Values: fields(t, jobs(1)[0])})
		pipe.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: "group", Consumer: me, Streams: []string{prefix + "topic", ">"}, Block: -1})
		pipe.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		return nil
	})
	require.NoError(t, err)
	require.True(t, receive(t, msgs).Ack())
}

func TestConsumersThatLeftWithoutAWordAreForgottenUnlessTheyHaveMessages(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	s.publish(t, 2)
	s.take(t, "has one", 1)
	taken := s.take(t, "has none", 1)
	require.NoError(t, s.outside.XAck(t.Context(), prefix+"topic", "group", taken[0].ID).Err())
	require.NoError(t, s.outside.XGroupCreateConsumer(t.Context(), prefix+"topic", "group", redisbroker.DelayedConsumer).Err())

	require.NoError(t, s.ForgetTheDead(t.Context(), "topic", "group", time.Hour))
	require.Len(t, s.consumers(t), 3, "they may live")
	<-time.After(30 * time.Millisecond)
	require.NoError(t, s.ForgetTheDead(t.Context(), "topic", "group", 10*time.Millisecond))
	require.ElementsMatch(t, []string{"has one", redisbroker.DelayedConsumer}, s.consumers(t))
}

// The stock subscriber's Close ends the client that others use.
func TestClosingAConsumerLeavesTheOthers(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	first, _ := subscribe(t, s.Broker)
	_, msgs := subscribe(t, s.Broker)
	require.NoError(t, first.Close())
	sent := s.publish(t, 1)
	m := receive(t, msgs)
	require.Equal(t, sent[0].UUID, m.UUID)
	require.True(t, m.Ack())
	require.NoError(t, s.Ping(t.Context()))
}
