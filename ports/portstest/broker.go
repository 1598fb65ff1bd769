package portstest

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"lectern/ports"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// What the suite prepares, unless a test is about something else.
const (
	topic = "conformance"
	group = "first"
	other = "second"
)

// BrokerHarness makes the brokers that TestBroker tries.
type BrokerHarness struct {
	// New returns a broker system that is empty and of the test's own, whose
	// brokers are made as the constants here say.
	New func(t *testing.T) BrokerSystem

	// RetryDelay is the least wait before a message's first redelivery; before
	// each further one it is twice as long, at least four times over.
	RetryDelay time.Duration

	// Visibility is how long a consumer without a sign of life keeps its
	// messages from others; 0 where that can't happen.
	Visibility time.Duration

	// Exceptions maps the tests that the broker can't pass to the reasons.
	Exceptions map[string]string
}

// BrokerSystem is a broker with its storage, as several processes see it.
type BrokerSystem interface {
	// Open connects as a process of its own, which the test closes; the
	// system closes it at the end of the test if that didn't happen.
	Open(t *testing.T) ports.Broker

	// Sever cuts what Open returned off from its storage for good: the others
	// see it die without a word.
	Sever(t *testing.T, b ports.Broker)
}

// What every broker of a harness is configured to.
const (
	BrokerConcurrency     = 4           // messages of a topic handed out at once
	BrokerMaxMessageBytes = 64 << 10    // the largest payload
	BrokerCloseTimeout    = time.Second // a closing consumer's wait for what is in hand
)

type brokerTest struct {
	name string
	run  func(*brokerT)
}

// TestBroker checks that brokers keep the contract of ports.Broker. Each test
// has a system of its own, and leaves no goroutine behind.
func TestBroker(t *testing.T, harness BrokerHarness) {
	t.Helper()
	unused := make(map[string]string, len(harness.Exceptions))
	for name, reason := range harness.Exceptions {
		require.NotEmpty(t, reason, "the exception %s needs a reason", name)
		unused[name] = reason
	}
	for _, tc := range brokerTests() {
		if _, excepted := unused[tc.name]; excepted {
			delete(unused, tc.name)
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			running := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, running) })
			tc.run(&brokerT{T: t, BrokerSystem: harness.New(t), harness: harness})
		})
	}
	require.Empty(t, unused, "exceptions for tests that don't exist")
}

func brokerTests() []brokerTest {
	return []brokerTest{
		{"EachGroupGetsEveryMessage", eachGroupGetsEveryMessage},
		{"ConsumersOfAGroupShareWithoutDoubles", consumersShareWithoutDoubles},
		{"OrderIsKeptPerSubject", orderIsKeptPerSubject},
		{"ConsumersJoinAndLeaveWithoutLoss", consumersJoinAndLeaveWithoutLoss},
		{"SubscribingToWhatIsNotPreparedFails", subscribingUnpreparedFails},

		{"ABatchArrivesWhole", batchArrivesWhole},
		{"ABatchFailsOnlyWhereItIsNamed", batchFailsOnlyWhereNamed},
		{"MessagesKeepTheirBytes", messagesKeepTheirBytes},
		{"SizesUpToTheLimitArrive", sizesUpToTheLimitArrive},
		{"AnUnknownTopicIsRefused", unknownTopicIsRefused},
		{"PrepareMayRunAgainAndAtOnce", prepareMayRunAgainAndAtOnce},
		{"PublishingUnreachedIsUnavailable", publishingUnreachedIsUnavailable},

		{"ANackedMessageComesBackLaterAndLater", nackedComesBackLaterAndLater},
		{"ANackedMessageBlocksNoOther", nackedBlocksNoOther},
		{"ADeadConsumersMessagesComeBack", deadConsumersMessagesComeBack},
		{"ASlowHandlerIsNotDoubled", slowHandlerIsNotDoubled},

		{"MessagesSurviveAReopening", messagesSurviveAReopening},
		{"CloseFinishesWhatIsInHand", closeFinishesWhatIsInHand},
		{"CloseGivesBackWhatIsNotSettled", closeGivesBackWhatIsNotSettled},
		{"TheEndOfItsContextEndsASubscription", contextEndsASubscription},
		{"AClosedBrokerRefusesWork", closedBrokerRefusesWork},
	}
}

// brokerT is a test's state, with a broker system of its own.
type brokerT struct {
	*testing.T
	BrokerSystem
	harness BrokerHarness
}

// open returns a broker on which the topic is prepared for the groups.
func (t *brokerT) open(groups ...string) ports.Broker {
	t.Helper()
	b := t.Open(t.T)
	require.NoError(t, b.Prepare(t.Context(), []string{topic}, groups))
	return b
}

// consume returns a new consumer of the topic.
func (t *brokerT) consume(b ports.Broker, group string) (message.Subscriber, <-chan *message.Message) {
	t.Helper()
	sub, err := b.Subscriber(group)
	require.NoError(t, err)
	msgs, err := sub.Subscribe(context.WithoutCancel(t.Context()), topic)
	require.NoError(t, err)
	return sub, msgs
}

func newMessage(subject, payload string) *message.Message {
	m := message.NewMessage(uuid.NewString(), []byte(payload))
	m.Metadata.Set(ports.MetaSubject, subject)
	return m
}

func newMessages(n int) message.Messages {
	msgs := make(message.Messages, n)
	for i := range msgs {
		msgs[i] = newMessage("subject", "{}")
	}
	return msgs
}

// receive returns the next message, which is neither acked nor nacked.
func (t *brokerT) receive(msgs <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, open := <-msgs:
		require.True(t, open, "the channel closed while a message was expected")
		return m
	case <-time.After(patience):
		require.FailNow(t, "no message came")
		return nil
	}
}

// receiveAcked acks n messages and returns them.
func (t *brokerT) receiveAcked(msgs <-chan *message.Message, n int) message.Messages {
	t.Helper()
	got := make(message.Messages, n)
	for i := range got {
		got[i] = t.receive(msgs)
		require.True(t, got[i].Ack())
	}
	return got
}

// requireNoneLeft proves by a message published last that no other one waits.
func (t *brokerT) requireNoneLeft(b ports.Broker, msgs <-chan *message.Message) {
	t.Helper()
	last := newMessage("last", "{}")
	require.NoError(t, b.Publish(topic, last))
	got := t.receive(msgs)
	require.Equal(t, last.UUID, got.UUID, "another message came before the one published last")
	require.True(t, got.Ack())
}

func (t *brokerT) requireFailure(want ports.PublishFailure, err error, msgs ...*message.Message) {
	t.Helper()
	var failed *ports.PublishError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Failed, len(msgs))
	for _, m := range msgs {
		require.Equal(t, want.String(), failed.Failed[m.UUID].Failure.String())
		require.Error(t, failed.Failed[m.UUID].Err)
	}
}

func (t *brokerT) requireClosed(msgs <-chan *message.Message) {
	t.Helper()
	select {
	case _, open := <-msgs:
		require.False(t, open, "a message came while the channel's end was expected")
	case <-time.After(patience):
		require.FailNow(t, "the channel did not close")
	}
}
