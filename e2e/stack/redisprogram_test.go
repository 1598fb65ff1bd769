package stack_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestRedisThatCannotBeHadFailsTheRunAndSaysWhatToDo(t *testing.T) {
	empty := stack.Dir(t)
	t.Setenv(stack.RedisVariable, "")
	t.Setenv("PATH", empty)
	t.Setenv("XDG_CACHE_HOME", empty)
	t.Setenv("HOME", empty)
	_, err := stack.Run(t.Context(), []string{os.Args[0]}, stack.WithRedis)
	for _, remedy := range []string{"install redis-server", "JDK 17", "Maven", stack.RedisVariable} {
		require.ErrorContains(t, err, remedy)
	}
	require.Contains(t, fatal(t, func(tb testing.TB) { stack.StartRedis(tb) }), "install redis-server")
}

func TestRedisIsFetchedOnceAndWholeThoughTwoFetch(t *testing.T) {
	dir, calls := t.TempDir(), fakeMaven(t, `exec "$REAL" "$@"`)
	var programs [2]string
	var errs [2]error
	var both sync.WaitGroup
	for i := range programs {
		both.Go(func() { programs[i], errs[i] = stack.CachedRedis(t.Context(), dir) })
	}
	both.Wait()
	require.Equal(t, [2]error{}, errs)
	require.Equal(t, programs[0], programs[1])
	require.Equal(t, 1, calls())
	said, err := exec.CommandContext(t.Context(), programs[0], "--version").Output()
	require.NoError(t, err)
	require.Contains(t, string(said), "Redis server v=6.2.")
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{programs[0], programs[0] + ".lock"}, left)
}

func TestFailedFetchOfRedisSaysWhyAndLeavesNothingHalfDone(t *testing.T) {
	dir := t.TempDir()
	fakeMaven(t, "echo the network is down; exit 1")
	_, err := stack.CachedRedis(t.Context(), dir)
	require.ErrorContains(t, err, "the network is down")
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, left, 1, "the lock alone, not %v", left)
}

// fakeMaven puts a script before Maven on PATH, and returns what counts its calls.
func fakeMaven(t *testing.T, script string) (calls func() int) {
	t.Helper()
	installed, err := exec.LookPath("mvn")
	require.NoError(t, err, "install a JDK 17 or later and Maven")
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	script = "#!/bin/sh\necho called >> " + log + "\n" + script + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mvn"), []byte(script), 0o755))
	t.Setenv("REAL", installed)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() int {
		text, err := os.ReadFile(log)
		require.NoError(t, err)
		return strings.Count(string(text), "called")
	}
}
