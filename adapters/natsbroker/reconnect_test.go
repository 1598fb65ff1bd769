//go:build !race

package natsbroker_test

import (
	"testing"

	"lectern/e2e/stack"
	"lectern/ports/portstest"
)

func TestWatermillReconnect(t *testing.T) {
	s := stack.StartNATS(t, "")
	portstest.TestWatermillReconnect(t, &server{newSystem(stack.NATSStreams{Address: s.Address(), Prefix: "test."}), s})
}
