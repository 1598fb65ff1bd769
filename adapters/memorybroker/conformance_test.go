package memorybroker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/adapters/memorybroker"
	"lectern/ports"
	"lectern/ports/portstest"
)

const retryDelay = 20 * time.Millisecond

func TestConformance(t *testing.T) {
	const oneProcess = "its messages are within the process and end with it"
	portstest.TestBroker(t, portstest.BrokerHarness{
		New:        func(*testing.T) portstest.BrokerSystem { return system{} },
		RetryDelay: retryDelay,
		Exceptions: map[string]string{
			"MessagesSurviveAReopening":        oneProcess,
			"ADeadConsumersMessagesComeBack":   oneProcess,
			"PublishingUnreachedIsUnavailable": oneProcess,
		},
	})
}

type system struct{}

func (system) Open(t *testing.T) ports.Broker {
	t.Helper()
	return open(t, map[string]any{
		"concurrency":       portstest.BrokerConcurrency,
		"max_message_bytes": portstest.BrokerMaxMessageBytes,
		"close_timeout":     portstest.BrokerCloseTimeout.String(),
		"retry_delay":       retryDelay.String(),
	})
}

func (system) Sever(t *testing.T, _ ports.Broker) {
	t.Helper()
	require.FailNow(t, "a broker can't be severed from its own process")
}

func open(t *testing.T, raw map[string]any) *memorybroker.Broker {
	t.Helper()
	opts, err := memorybroker.DecodeOptions(raw)
	require.NoError(t, err)
	b, err := memorybroker.New(t.Context(), opts, testLogger(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}
