//go:build soak

package postgres_test

import (
	"testing"
	"time"
)

// lasting is enough after a time, at a pace that leaves others something of the
// machine.
func lasting(long time.Duration) func(*bundle) func(int) bool {
	return func(*bundle) func(int) bool {
		end := time.Now().Add(long)
		return func(int) bool {
			<-time.After(5 * time.Millisecond)
			return time.Now().After(end)
		}
	}
}

func TestSoakAnUnrelatedWriterIsOpenForAMinute(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]string{"in the outbox's database": "", "in another": "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bearAnUnrelatedWriter(t, database, lasting(time.Minute))
		})
	}
}

func TestSoakASnapshotIsHeldForMinutes(t *testing.T) {
	t.Parallel()
	bearAnOldSnapshot(t, lasting(3*time.Minute))
}

func TestSoakFiveMillionEntriesAreProcessed(t *testing.T) {
	t.Parallel()
	bearManyProcessed(t, 5_000_000)
}
