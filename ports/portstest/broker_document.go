package portstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// brokersDocument has a table with a row for each exception:
//
//	| kind | `Test` | reason |
const brokersDocument = "docs/brokers.md"

func requireDocumented(t *testing.T, harness BrokerHarness) {
	t.Helper()
	require.NotEmpty(t, harness.Kind, "the harness's Kind")
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), brokersDocument))
	require.NoError(t, err)
	documented := map[string]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) == 3 && strings.TrimSpace(cells[0]) == harness.Kind {
			documented[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	exceptions := harness.Exceptions
	if exceptions == nil {
		exceptions = map[string]string{}
	}
	require.Equal(t, exceptions, documented, "the exceptions of %s, and the rows of its kind in %s", harness.Kind, brokersDocument)
}

// moduleRoot is the folder of go.mod, above that of the test.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		require.NotEqual(t, dir, above, "there is no go.mod above the test")
		dir = above
	}
}
