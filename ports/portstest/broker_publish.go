package portstest

import (
	"bytes"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func batchArrivesWhole(t *brokerT) {
	b := t.open(group)
	sent := newMessages(500)
	require.NoError(t, b.Publish(topic, sent...))
	require.NoError(t, b.Publish(topic), "a batch of none")
	_, msgs := t.consume(b, group)
	require.ElementsMatch(t, sent.IDs(), t.receiveAcked(msgs, len(sent)).IDs())
	t.requireNoneLeft(b, msgs)
}

func batchFailsOnlyWhereNamed(t *brokerT) {
	b := t.open(group)
	tooLarge := newMessage("subject", strings.Repeat("x", BrokerMaxMessageBytes+1))
	notText := newMessage("subject", "{}")
	notText.Metadata.Set("key", "\xff")
	first, last := newMessage("subject", "{}"), newMessage("subject", "{}")

	t.requireFailure(ports.Refused, b.Publish(topic, first, tooLarge, notText, last), tooLarge, notText)

	_, msgs := t.consume(b, group)
	require.Equal(t, []string{first.UUID, last.UUID}, t.receiveAcked(msgs, 2).IDs())
	t.requireNoneLeft(b, msgs)
}

func messagesKeepTheirBytes(t *brokerT) {
	b := t.open(group)
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

	_, msgs := t.consume(b, group)
	for i, got := range t.receiveAcked(msgs, len(sent)) {
		require.Equal(t, sent[i].UUID, got.UUID)
		require.Equal(t, sent[i].Metadata, got.Metadata)
		require.Equal(t, string(sent[i].Payload), string(got.Payload))
	}
}

func sizesUpToTheLimitArrive(t *brokerT) {
	b := t.open(group)
	require.Equal(t, BrokerMaxMessageBytes, b.MaxMessageBytes())
	_, msgs := t.consume(b, group)
	for _, size := range []int{1, BrokerMaxMessageBytes} {
		m := newMessage("subject", "")
		m.Payload = bytes.Repeat([]byte{0xa5}, size)
		require.NoError(t, b.Publish(topic, m))
		require.Equal(t, m.Payload, t.receiveAcked(msgs, 1)[0].Payload)
	}
	m := newMessage("subject", strings.Repeat("x", BrokerMaxMessageBytes+1))
	t.requireFailure(ports.Refused, b.Publish(topic, m), m)
	t.requireNoneLeft(b, msgs)
}

func unknownTopicIsRefused(t *brokerT) {
	b := t.open(group)
	sent := newMessages(2)
	t.requireFailure(ports.Refused, b.Publish("unknown", sent...), sent...)
}

func publishingUnreachedIsUnavailable(t *brokerT) {
	b := t.open(group)
	require.NoError(t, b.Ping(t.Context()))
	sent := newMessages(2)
	require.NoError(t, b.Publish(topic, sent...))

	t.Sever(t.T, b)

	err := t.returns("Publish", func() error { return b.Publish(topic, sent...) })
	t.requireFailure(ports.Unavailable, err, sent...)
	require.Error(t, t.returns("Ping", func() error { return b.Ping(t.Context()) }))
}
