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
	const (
		oneProcess = "its messages are within the process and end with it"
		noNetwork  = "there is no network between it and its messages"
		noWire     = "messages stay what they are, there is no wire format"
		free       = "whichever consumer is free takes the next message"
	)
	portstest.TestBroker(t, portstest.BrokerHarness{
		Kind:       "memory",
		New:        func(*testing.T) portstest.BrokerSystem { return system{} },
		RetryDelay: retryDelay,
		Exceptions: map[string]string{
			"ADeadConsumersMessagesComeBack":                  oneProcess,
			"AMessageThatKillsItsConsumersBecomesADeadLetter": oneProcess,
			"ARestartInMidStreamLosesNothing":                 oneProcess,
			"CloseDoesNotHangWhenTheNetworkSwallows":          noNetwork,
			"MessagesSurviveAReopening":                       oneProcess,
			"NoCallHangsWhenTheNetworkSwallows":               noNetwork,
			"OrderIsKeptPerSubjectBySeveralConsumers":         free,
			"PublishingUnreachedIsUnavailable":                noNetwork,
			"PublishingWhileTheServerIsDownIsUnavailable":     noNetwork,
			"WhatCanNotBeReadBecomesADeadLetter":              noWire,
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
		"max_deliveries":    portstest.BrokerMaxDeliveries,
	})
}

// The tests that would cut the broker off from itself are exceptions.
func (system) Sever(t *testing.T, _ ports.Broker)   { t.Helper(); requireNone(t) }
func (system) Stall(t *testing.T, _ ports.Broker)   { t.Helper(); requireNone(t) }
func (system) Restore(t *testing.T, _ ports.Broker) { t.Helper(); requireNone(t) }

func (system) PublishRaw(t *testing.T, _ string, _ []byte) { t.Helper(); requireNone(t) }

func requireNone(t *testing.T) {
	t.Helper()
	require.FailNow(t, "the broker is within its process")
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
