package e2e_test

import (
	"strings"
	"testing"
)

// outageAttempts is what an entry has: less than passes fail in an outage.
const outageAttempts = "LECTERN_RELAY__MAX_ATTEMPTS=2"

// outage takes the broker away from a fleet in mid-stream, until enough is over,
// while writers go on.
func outage(t *testing.T, enough func(*fleet)) {
	t.Helper()
	f := newFleet(t, newDeployment(t), 2, outageAttempts)
	f.trouble(func(round int) {
		f.sometime()
		if round == 1 {
			f.proxy.Cut()
			enough(f)
			f.proxy.Restore()
		}
	})
	f.check()
}

// failed waits until each relay has found no broker more often than an entry
// has attempts.
func (f *fleet) failed() {
	f.t.Helper()
	for _, s := range f.servers {
		eventually(f.t, "a relay found no broker three times", patience, func() bool {
			return strings.Count(s.log.String(), "relay pass failed") >= 3
		})
	}
}

func TestAnOutageOfTheBrokerCostsNoEntryAnAttempt(t *testing.T) {
	t.Parallel()
	outage(t, (*fleet).failed)
}
