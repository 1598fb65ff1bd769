package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"lectern/ports"
)

// BrokerHarness makes the brokers that TestBroker tries.
type BrokerHarness struct {
	// Kind is the broker's name in the config. The rows of docs/brokers.md for
	// it must be the Exceptions.
	Kind string

	// New returns a broker system that is empty and of the test's own, whose
	// brokers are made as the constants here say. Its server may be shared.
	New func(t *testing.T) BrokerSystem

	// NewServer is New with a server that runs for this test alone and ends
	// with it, since the test stops it. nil where there is none to stop.
	NewServer func(t *testing.T) BrokerServer

	// RetryDelay is the least wait before a message's first redelivery; before
	// each further one it is twice as long, at least four times over.
	RetryDelay time.Duration

	// Visibility is how long a consumer without a sign of life keeps its
	// messages from others; 0 where that can't happen.
	Visibility time.Duration

	// Exceptions maps the tests that the broker can't pass to the reasons.
	Exceptions map[string]string
}

// BrokerSystem is a broker with its storage, as several processes see it. What
// a test that is not excepted calls must work; the rest may fail the test.
type BrokerSystem interface {
	// Open connects as a process of its own, which the test closes; the
	// system closes it at the end of the test if that didn't happen. The test
	// may have cut it off meanwhile.
	Open(t *testing.T) ports.Broker

	// Sever cuts what Open returned off from its storage for good: the others
	// see it die without a word.
	Sever(t *testing.T, b ports.Broker)

	// Stall has the network swallow all bytes between what Open returned and
	// its storage, on connections old and new, and end none, until Restore.
	Stall(t *testing.T, b ports.Broker)
	Restore(t *testing.T, b ports.Broker)

	// PublishRaw puts on a topic that is prepared, past the adapter and for
	// all groups, what the adapter can't read as a message. raw, any bytes,
	// stands where a message has its payload.
	PublishRaw(t *testing.T, topic string, raw []byte)
}

// BrokerServer is a BrokerSystem whose server's process the test may end.
type BrokerServer interface {
	BrokerSystem

	// Stop ends the server, by a signal or by killing it, and returns when it
	// is gone; what it had stored stays. Whoever connects is refused or cut off.
	Stop(t *testing.T)

	// Start starts it again on what it had stored, and returns when it serves.
	// What Open returned reaches it as before, and is not told.
	Start(t *testing.T)
}

// What every broker of a harness is configured to.
const (
	BrokerConcurrency     = 4               // messages of a topic handed out at once
	BrokerMaxMessageBytes = 64 << 10        // the largest payload
	BrokerMaxDeliveries   = 6               // of a message, before it is a dead letter
	BrokerTimeout         = 5 * time.Second // of a call to the server
	BrokerCloseTimeout    = time.Second     // a closing consumer's wait for what is in hand
)

type brokerTest struct {
	name string
	run  func(*brokerT)
}

// TestBroker checks that brokers keep the contract of ports.Broker. Each test
// has a system of its own, and leaves no goroutine behind.
func TestBroker(t *testing.T, harness BrokerHarness) {
	t.Helper()
	t.Run("TheDocumentNamesTheExceptions", func(t *testing.T) { requireDocumented(t, harness) })
	unused := make(map[string]string, len(harness.Exceptions))
	for name, reason := range harness.Exceptions {
		require.NotEmpty(t, reason, "the exception %s needs a reason", name)
		unused[name] = reason
	}
	run := func(tc brokerTest, system func(*testing.T) *brokerT) {
		if _, excepted := unused[tc.name]; excepted {
			delete(unused, tc.name)
			return
		}
		t.Run(tc.name, func(t *testing.T) {
			running := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, running) })
			tc.run(system(t))
		})
	}
	for _, tc := range brokerTests() {
		run(tc, func(t *testing.T) *brokerT {
			return &brokerT{T: t, BrokerSystem: harness.New(t), harness: harness}
		})
	}
	for _, tc := range brokerServerTests() {
		run(tc, func(t *testing.T) *brokerT {
			require.NotNil(t, harness.NewServer, "the harness has no server to stop")
			server := harness.NewServer(t)
			return &brokerT{T: t, BrokerSystem: server, server: server, harness: harness}
		})
	}
	require.Empty(t, unused, "exceptions for tests that don't exist")
}

func brokerTests() []brokerTest {
	return []brokerTest{
		{"EachGroupGetsEveryMessage", eachGroupGetsEveryMessage},
		{"ConsumersOfAGroupShareWithoutDoubles", consumersShareWithoutDoubles},
		{"OrderIsKeptPerSubject", orderIsKeptPerSubject},
		{"OrderIsKeptPerSubjectBySeveralConsumers", orderIsKeptBySeveral},
		{"ConsumersJoinAndLeaveWithoutLoss", consumersJoinAndLeaveWithoutLoss},
		{"ConsumersJoinAndLeaveInMidStream", consumersJoinAndLeaveInMidStream},
		{"SubscribingToWhatIsNotPreparedFails", subscribingUnpreparedFails},

		{"ABatchArrivesWhole", batchArrivesWhole},
		{"ABatchFailsOnlyWhereItIsNamed", batchFailsOnlyWhereNamed},
		{"MessagesKeepTheirBytes", messagesKeepTheirBytes},
		{"SizesUpToTheLimitArrive", sizesUpToTheLimitArrive},
		{"AnUnknownTopicIsRefused", unknownTopicIsRefused},
		{"PublishingUnreachedIsUnavailable", publishingUnreachedIsUnavailable},

		{"PrepareMayRunAgainAndAtOnce", prepareMayRunAgainAndAtOnce},
		{"PrepareMakesTheDeadTopics", prepareMakesTheDeadTopics},
		{"TopicsReportsWhatThereIs", topicsReportsWhatThereIs},

		{"ANackedMessageComesBackLaterAndLater", nackedComesBackLaterAndLater},
		{"ANackedMessageBlocksNoOther", nackedBlocksNoOther},
		{"ADeadConsumersMessagesComeBack", deadConsumersMessagesComeBack},
		{"ASlowHandlerIsNotDoubled", slowHandlerIsNotDoubled},

		{"APoisonMessageBecomesADeadLetter", poisonBecomesADeadLetter},
		{"AMessageThatKillsItsConsumersBecomesADeadLetter", killerBecomesADeadLetter},
		{"ADeadLetterIsNotGivenUp", deadLetterIsNotGivenUp},
		{"WhatCanNotBeReadBecomesADeadLetter", unreadableBecomesADeadLetter},

		{"MessagesSurviveAReopening", messagesSurviveAReopening},
		{"CloseFinishesWhatIsInHand", closeFinishesWhatIsInHand},
		{"CloseGivesBackWhatIsNotSettled", closeGivesBackWhatIsNotSettled},
		{"TheEndOfItsContextEndsASubscription", contextEndsASubscription},
		{"AClosedBrokerRefusesWork", closedBrokerRefusesWork},

		{"NoCallHangsWhenTheNetworkSwallows", noCallHangsWhenTheNetworkSwallows},
		{"CloseDoesNotHangWhenTheNetworkSwallows", closeDoesNotHangWhenTheNetworkSwallows},
	}
}

// brokerServerTests are those that stop the server.
func brokerServerTests() []brokerTest {
	return []brokerTest{
		{"PublishingWhileTheServerIsDownIsUnavailable", publishingWhileDownIsUnavailable},
		{"ARestartInMidStreamLosesNothing", restartInMidStreamLosesNothing},
	}
}
