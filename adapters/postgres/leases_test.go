package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func TestACoursesPartitionIsThatOfTheDatabase(t *testing.T) {
	t.Parallel()
	conn := connect(t, setup(t).db.Relay)
	for n := range 256 {
		course := uuid.New()
		course[15] = byte(n)
		var partition int16
		require.NoError(t, conn.QueryRow(t.Context(), `select lectern.partition_of($1)`, course).Scan(&partition))
		require.Equal(t, partition, ports.PartitionOf(course))
	}
}

// Nothing of what the others had in hand is trusted more for it.
func TestARelayThatKnowsThatItIsAloneWaitsForNobodysTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, entries := b.three(t)
	require.Len(t, b.claim(t), 3) // and is killed
	next := newOutbox(t, open(t, b.db.Relay))
	lease, err := next.Balance(t.Context(), "next", time.Hour, 500)
	require.NoError(t, err)
	require.Empty(t, lease.Partitions)
	require.NoError(t, next.ExpireLeases(t.Context()))
	lease, err = next.Balance(t.Context(), "next", time.Hour, 500)
	require.NoError(t, err)
	require.Len(t, lease.Partitions, ports.OutboxPartitions)
	claimed, err := next.Claim(t.Context(), lease, 500)
	require.NoError(t, err)
	require.Equal(t, ids(entries)[:1], ids(claimed.Entries), "it leaves alone")
	require.Empty(t, b.claim(t), "who was thought dead is fenced")
}
