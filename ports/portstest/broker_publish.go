package portstest

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func batchArrivesWhole(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	sent := newMessages(500)
	require.NoError(t, b.Publish(topic, sent...))
	require.NoError(t, b.Publish(topic), "a batch of none")
	_, msgs := consume(t, b, group)
	require.ElementsMatch(t, sent.IDs(), receiveAcked(t, msgs, len(sent)).IDs())
	requireNoneLeft(t, b, msgs)
}

func batchFailsOnlyWhereNamed(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	tooLarge := newMessage("subject", strings.Repeat("x", BrokerMaxMessageBytes+1))
	notText := newMessage("subject", "{}")
	notText.Metadata.Set("key", "\xff")
	first, last := newMessage("subject", "{}"), newMessage("subject", "{}")

	requireFailure(t, ports.Refused, b.Publish(topic, first, tooLarge, notText, last), tooLarge, notText)

	_, msgs := consume(t, b, group)
	require.Equal(t, []string{first.UUID, last.UUID}, receiveAcked(t, msgs, 2).IDs())
	requireNoneLeft(t, b, msgs)
}

func messagesKeepTheirBytes(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	var sent message.Messages
	for _, payload := range []string{
		`{"title":"Курс по продажам","emoji":"🎓","é":"é vs é"}`, " \t\r\n", "\x00\x01\xff\xfe", `"\u0000"`, "",
	} {
		m := newMessage("0190f5fe-7c00-7a00-8000-0123456789ab", payload)
		for k, v := range map[string]string{
			ports.MetaSpecVersion: ports.CloudEventsVersion,
			ports.MetaID:          m.UUID,
			ports.MetaType:        ports.MessageTypePrefix + "document-processing",
			ports.MetaSource:      ports.MessageSource,
			ports.MetaTime:        "2026-11-05T10:20:30.123456789Z",
			ports.MetaContentType: ports.ContentTypeJSON,
			ports.MetaTraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			ports.MetaRun:         "3",
			"text":                `Ёжик "в" тумане \ <&> ` + "🦔",
			"empty":               "",
		} {
			m.Metadata.Set(k, v)
		}
		sent = append(sent, m)
	}
	require.NoError(t, b.Publish(topic, sent...))

	_, msgs := consume(t, b, group)
	for i, got := range receiveAcked(t, msgs, len(sent)) {
		require.Equal(t, sent[i].UUID, got.UUID)
		require.Equal(t, sent[i].Metadata, got.Metadata)
		require.Equal(t, string(sent[i].Payload), string(got.Payload))
	}
}

func sizesUpToTheLimitArrive(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	require.Equal(t, BrokerMaxMessageBytes, b.MaxMessageBytes())
	_, msgs := consume(t, b, group)
	for _, size := range []int{1, BrokerMaxMessageBytes} {
		m := newMessage("subject", "")
		m.Payload = bytes.Repeat([]byte{0xa5}, size)
		require.NoError(t, b.Publish(topic, m))
		require.Equal(t, m.Payload, receiveAcked(t, msgs, 1)[0].Payload)
	}
	m := newMessage("subject", strings.Repeat("x", BrokerMaxMessageBytes+1))
	requireFailure(t, ports.Refused, b.Publish(topic, m), m)
	requireNoneLeft(t, b, msgs)
}

func unknownTopicIsRefused(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	sent := newMessages(2)
	requireFailure(t, ports.Refused, b.Publish("unknown", sent...), sent...)
}

func prepareMayRunAgainAndAtOnce(t *testing.T, s *brokerBench) {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	brokers := make([]ports.Broker, len(errs))
	for i := range errs {
		b := s.Open(t)
		brokers[i] = b
		wg.Go(func() { errs[i] = b.Prepare(t.Context(), []string{topic}, []string{group}) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	b := brokers[0]
	require.NoError(t, b.Publish(topic, newMessages(3)...))
	require.NoError(t, b.Prepare(t.Context(), []string{topic, "another"}, []string{group, other}))
	_, msgs := consume(t, b, group)
	receiveAcked(t, msgs, 3)
	requireNoneLeft(t, b, msgs)
}

func publishingUnreachedIsUnavailable(t *testing.T, s *brokerBench) {
	b := s.open(t, group)
	require.NoError(t, b.Ping(t.Context()))
	sent := newMessages(2)
	require.NoError(t, b.Publish(topic, sent...))

	s.Sever(t, b)

	done := make(chan error, 1)
	go func() { done <- b.Publish(topic, sent...) }()
	select {
	case err := <-done:
		requireFailure(t, ports.Unavailable, err, sent...)
	case <-time.After(patience):
		require.FailNow(t, "publishing hangs")
	}
	require.Error(t, b.Ping(t.Context()))
}
