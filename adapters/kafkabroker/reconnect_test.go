//go:build !race

package kafkabroker_test

import (
	"testing"

	"lectern/e2e/stack"
	"lectern/ports/portstest"
)

func TestWatermillReconnect(t *testing.T) {
	s := stack.StartKafka(t)
	topics := stack.KafkaTopics{Addresses: []string{s.Address()}, Prefix: "test."}
	portstest.TestWatermillReconnect(t, &server{newSystem(topics), s})
}
