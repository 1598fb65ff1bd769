//go:build soak

package e2e_test

import (
	"testing"
	"time"
)

func TestSoakTheBrokerIsDownForAMinute(t *testing.T) {
	t.Parallel()
	outage(t, func(f *fleet) {
		<-time.After(time.Minute)
		f.failed()
	})
}
