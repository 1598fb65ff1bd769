package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

// The configs of docs/swapping-brokers.md are tried as they stand there.
func TestTheConfigsOfTheSwapDoAsTheyAreSaidTo(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/swapping-brokers.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(doc, -1)
	require.Len(t, found, 2)
	var files []string
	for i, name := range []string{"before.yaml", "during.yaml"} {
		files = append(files, filepath.Join(t.TempDir(), name))
		require.NoError(t, os.WriteFile(files[i], found[i][1], 0o600))
	}
	old, current := stack.Database(t, "lectern_broker"), stack.Database(t, "jobs")
	was := ofPostgres(old)
	now := slices.Concat(ofPostgres(old)[:4], []string{
		"LECTERN_BROKER__OPTIONS__DSN=" + current.Broker, "LECTERN_BROKER__ALSO_CONSUME__0__OPTIONS__DSN=" + old.Broker,
	})

	up := lectern(t, was, "--config", files[0], "migrate", "up")
	require.Zero(t, up.code, up.stderr)
	checked := lectern(t, now, "--config", files[1], "config", "check")
	require.Zero(t, checked.code, checked.stderr)
	made := lectern(t, now, "--config", files[1], "topics", "--create")
	require.Zero(t, made.code, made.stderr)
	said := regexp.MustCompile(`(?m)^    (broker.also_consume.0 \(postgres\) is drained.*)$`).FindSubmatch(doc)
	require.NotNil(t, said)
	require.Contains(t, made.stdout, string(said[1])+"\n")
}
