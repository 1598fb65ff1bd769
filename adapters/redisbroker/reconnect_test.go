//go:build !race

package redisbroker_test

import (
	"testing"

	"lectern/e2e/stack"
	"lectern/ports/portstest"
)

func TestWatermillReconnect(t *testing.T) {
	s := stack.StartDurableRedis(t)
	portstest.TestWatermillReconnect(t, &server{newSystem(s.Address()), s})
}
