//go:build !race

package postgresbroker_test

import (
	"testing"

	"lectern/e2e/stack"
	"lectern/ports/portstest"
)

func TestWatermillReconnect(t *testing.T) {
	s := stack.StartPostgres(t)
	portstest.TestWatermillReconnect(t, &server{newSystem(s.Database(t, "lectern_broker")), s})
}
