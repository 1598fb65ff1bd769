package redisbroker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/adapters/redisbroker"
)

// node is the most entries that Redis keeps together, and so leaves.
const node = 100

func TestWhatAllGroupsHaveSettledIsTrimmed(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	s.publish(t, 2000)
	_, msgs := subscribe(t, s.Broker)
	for range 2000 {
		require.True(t, receive(t, msgs).Ack())
	}
	require.Eventually(t, func() bool { return s.length(t) <= node }, patience, tick)
}

func TestWhatASlowGroupHasYetToSettleIsNeverTrimmed(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	for _, slow := range []string{"never looks", "has one in hand"} {
		require.NoError(t, s.outside.XGroupCreate(t.Context(), prefix+"topic", slow, "0").Err())
	}
	s.publish(t, 1000)
	ids := s.take(t, "someone", 1000)
	for _, e := range ids {
		require.NoError(t, s.outside.XAck(t.Context(), prefix+"topic", "group", e.ID).Err())
	}
	require.NoError(t, s.Trim(t.Context(), "topic"))
	require.EqualValues(t, 1000, s.length(t))

	require.NoError(t, s.outside.XGroupDestroy(t.Context(), prefix+"topic", "never looks").Err())
	require.NoError(t, s.outside.Do(t.Context(), "XREADGROUP", "GROUP", "has one in hand", "someone",
		"COUNT", 600, "STREAMS", prefix+"topic", ">").Err())
	for i, e := range ids[:600] {
		if i != 500 {
			require.NoError(t, s.outside.XAck(t.Context(), prefix+"topic", "has one in hand", e.ID).Err())
		}
	}
	require.NoError(t, s.Trim(t.Context(), "topic"))
	require.GreaterOrEqual(t, s.length(t), int64(500))
	require.LessOrEqual(t, s.length(t), int64(500+node))
	left, err := s.outside.XRange(t.Context(), prefix+"topic", ids[500].ID, ids[500].ID).Result()
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestAStreamWithoutGroupsIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{})
	s.publish(t, 1000)
	require.NoError(t, s.outside.XGroupDestroy(t.Context(), prefix+"topic", "group").Err())
	require.NoError(t, s.Trim(t.Context(), "topic"))
	require.EqualValues(t, 1000, s.length(t))
}

func TestMaxLengthLosesTheOldestWhetherOrNotTheyWereConsumed(t *testing.T) {
	t.Parallel()
	s := newStream(t, map[string]any{"max_length": 200})
	sent := s.publish(t, 500)
	require.LessOrEqual(t, s.length(t), int64(200+node))
	_, msgs := subscribe(t, s.Broker)
	for {
		m := receive(t, msgs)
		require.True(t, m.Ack())
		require.NotEqual(t, sent[0].UUID, m.UUID)
		if m.UUID == sent[499].UUID {
			return
		}
	}
}

func TestIDsAreOrderedAsNumbers(t *testing.T) {
	t.Parallel()
	ordered := []string{"0-0", "1-2", "1-10", "9-1", "10-0", "1700000000000-0"}
	for i, a := range ordered {
		for j, b := range ordered {
			require.Equal(t, i < j, redisbroker.CompareIDs(a, b) < 0, "%s %s", a, b)
			require.Equal(t, i == j, redisbroker.CompareIDs(a, b) == 0, "%s %s", a, b)
		}
	}
}

func (s stream) length(t *testing.T) int64 {
	t.Helper()
	n, err := s.outside.XLen(t.Context(), prefix+"topic").Result()
	require.NoError(t, err)
	return n
}
