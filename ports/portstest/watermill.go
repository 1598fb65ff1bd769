package portstest

import (
	"context"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

// reconnectMessages is how many TestReconnect publishes.
const reconnectMessages = 10_000

// TestWatermillReconnect runs TestReconnect of Watermill's own suite, which
// publishes and consumes while the server restarts twice. The test has a data
// race of its own, so it is for files that are built without the race detector
// alone.
func TestWatermillReconnect(t *testing.T, server BrokerServer) {
	b := server.Open(t)
	restarts := onCommand(t, func() {
		server.Stop(t)
		server.Start(t)
	})
	features := tests.Features{
		ConsumerGroups: true, GuaranteedOrder: true, Persistent: true,
		RestartServiceCommand: []string{"kill", "-" + strconv.Itoa(int(restartSignal)), strconv.Itoa(os.Getpid())},
	}
	tests.TestReconnect(t, tests.TestContext{TestID: tests.NewTestID(), Features: features},
		func(t *testing.T) (message.Publisher, message.Subscriber) {
			t.Helper()
			sub, err := b.Subscriber(ports.GroupWorkers)
			require.NoError(t, err)
			return openPublisher{b}, lateSubscriber{sub, b}
		})
	require.Equal(t, 2, restarts())
}

const restartSignal = syscall.SIGUSR1

// onCommand does something whenever the process gets restartSignal: the suite
// takes a command alone. The function that it returns ends that, and tells how
// often it was done.
func onCommand(t *testing.T, do func()) func() int {
	t.Helper()
	asked := make(chan os.Signal, 8)
	signal.Notify(asked, restartSignal)
	times := 0
	var doing sync.WaitGroup
	doing.Go(func() {
		for range asked {
			do()
			times++
		}
	})
	end := sync.OnceFunc(func() {
		signal.Stop(asked)
		close(asked)
		doing.Wait()
	})
	t.Cleanup(end)
	return func() int { end(); return times }
}

// openPublisher is closed by whoever opened the broker.
type openPublisher struct{ message.Publisher }

// Close implements message.Publisher.
func (openPublisher) Close() error { return nil }

// lateSubscriber hands on the last message late. The suite compares what came
// with what was published as soon as it has come, and notes that it was published
// in goroutines that nothing waits for.
type lateSubscriber struct {
	message.Subscriber
	broker ports.Broker
}

// SubscribeInitialize prepares the topic that the suite thinks up.
func (s lateSubscriber) SubscribeInitialize(topic string) error {
	return s.broker.Prepare(context.Background(), []string{topic}, []string{ports.GroupWorkers})
}

// Subscribe implements message.Subscriber.
func (s lateSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	msgs, err := s.Subscriber.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	late := make(chan *message.Message)
	go func() { // until the subscriber is closed
		defer close(late)
		seen := map[string]bool{}
		for m := range msgs {
			if seen[m.UUID] = true; len(seen) == reconnectMessages {
				<-time.After(time.Second)
			}
			select {
			case late <- m:
			case <-m.Context().Done():
			}
		}
	}()
	return late, nil
}
