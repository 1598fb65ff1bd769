package portstest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
	"lectern/ports"
)

// RelayHarness is an outbox that TestRelay tries relays on, of one test alone
// and empty, and the broker that they bring its entries to.
type RelayHarness struct {
	// NewBroker returns a broker that keeps the contract, without topics.
	NewBroker func(t *testing.T) ports.Broker

	// Relay makes one more relay, as a process of its own would have it, and
	// returns what wakes it. It backs off for RelayBackoff at most.
	Relay func(t *testing.T, to ports.Broker, c RelayConfig) (relay ports.Relay, wake func())

	// Begin adds entries to a course, in order and with one transaction, and
	// makes the course if need be. Nobody sees them before commit.
	Begin func(t *testing.T, course uuid.UUID, entries ...RelayEntry) (ids []uuid.UUID, commit func())

	// Entry reads an entry back.
	Entry func(t *testing.T, id uuid.UUID) domain.OutboxEntry

	// Pending counts the entries that are neither published nor dead.
	Pending func(t *testing.T) int

	// Redrive has a dead entry tried again, as an operator does.
	Redrive func(t *testing.T, id uuid.UUID)

	// Sever breaks all connections of relays to the database, without a word.
	Sever func(t *testing.T)

	// Exceptions maps the tests that the engine can't pass to the reasons.
	Exceptions map[string]string
}

// RelayConfig is what a test chooses of a relay; else it is as the harness
// likes, and quick.
type RelayConfig struct {
	BatchSize   int
	Poll        time.Duration // between looks, idle or not
	MaxAttempts int
	OnDead      domain.OnDead
}

// RelayEntry is an entry to be added.
type RelayEntry struct {
	Queue domain.Queue
	Delay time.Duration // until it may be sent
}

// RelayBackoff is the longest that a relay under test backs off.
const RelayBackoff = 50 * time.Millisecond

// RelayQueues are those that entries of the tests have.
func RelayQueues() []domain.Queue {
	return []domain.Queue{domain.QueueSummarization, domain.QueueStructureAnalysis}
}

// TestRelay checks that relays, by whichever engine, keep the contract of
// ports.Relay and bring each entry to the broker as docs/guarantees.md says. The
// harness is made anew for each test.
func TestRelay(t *testing.T, harness func(t *testing.T) RelayHarness) {
	t.Helper()
	for name, run := range map[string]func(*relayT){
		"EntriesAreDeliveredInOrder":                  relayDelivers,
		"AnIdleRelayIsWoken":                          relayIsWoken,
		"AnIdleRelayLooksByItself":                    relayPolls,
		"AnIdleRelayIsAliveAndLooksLessOften":         relayIsAlive,
		"ADelayedEntryWaitsAlone":                     relayDelays,
		"ABrokerThatIsDownCostsNoAttempt":             relayOutlastsTheBroker,
		"AQueueThatIsDownHoldsUpNoOther":              relayServesOtherQueues,
		"ARefusedEntryIsDeadAtOnce":                   relayBuriesRefused,
		"AnEntryThatFailsForNowHoldsUpItsCourseAlone": relayRetries,
		"AnEntryThatKeepsFailingIsDeadInTheEnd":       relayGivesUp,
		"ADeadEntryHoldsItsCourseWhereItShall":        relayBlocks,
		"ARedrivenEntryIsDeliveredOnceMore":           relayRedrives,
		"ARelayThatIsReplacedDoublesNothing":          relayIsReplaced,
		"ARelayThatLostItsDatabaseGoesOn":             relayIsSevered,
		"RelaysAtOnceKeepTheOrder":                    relaysShare,
		"WhoCommitsLateIsNotPassed":                   relaySeesLate,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := harness(t)
			if why, excepted := h.Exceptions[name]; excepted {
				t.Logf("excepted: %s", why)
				return
			}
			broker := h.NewBroker(t)
			var topics []string
			for _, queue := range RelayQueues() {
				topics = append(topics, string(queue))
			}
			require.NoError(t, broker.Prepare(t.Context(), topics, []string{group}))
			run(&relayT{T: t, RelayHarness: h, broker: &relayBroker{Broker: broker, changed: make(chan struct{})}})
		})
	}
}

// relayT is a test's state, with an outbox of its own.
type relayT struct {
	*testing.T
	RelayHarness
	broker *relayBroker
}

// relaying is a relay that runs.
type relaying struct {
	ports.Relay
	wake func()
	stop func() // in order, and waits
}

// start runs one more relay until the test ends or it is stopped.
func (t *relayT) start(c RelayConfig) relaying {
	t.Helper()
	if c.BatchSize == 0 {
		c.BatchSize = 10
	}
	if c.Poll == 0 {
		c.Poll = tick
	}
	if c.MaxAttempts == 0 {
		c.MaxAttempts = 5
	}
	if c.OnDead == "" {
		c.OnDead = domain.OnDeadContinue
	}
	r := relaying{}
	r.Relay, r.wake = t.Relay(t.T, t.broker, c)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			t.Errorf("relay ended: %v", err)
		}
	}()
	r.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(r.stop)
	return r
}
