package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheAddressIsFoundInWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	s := &said{found: make(chan string, 1)}
	for _, line := range []string{"Making the database\n", "Serving on http://127.0.0.1:4711\n", "again http://127.0.0.1:4712\n"} {
		_, err := s.Write([]byte(line))
		require.NoError(t, err)
	}
	require.Equal(t, "http://127.0.0.1:4711", <-s.found)
	require.Contains(t, s.String(), "Making the database")
}

func TestMemoryIsThatOfAProcess(t *testing.T) {
	t.Parallel()
	require.Positive(t, resident(os.Getpid()))
	require.Zero(t, resident(-1))
	_, second := watchMemory(os.Getpid()).halves()
	require.Positive(t, second)
}

func TestAFileBesideTheResults(t *testing.T) {
	t.Parallel()
	require.Equal(t, "results/latest-pipeline-cpu.txt", beside("results/latest.json", "-pipeline-cpu.txt"))
	require.Empty(t, beside("", "-pipeline-cpu.txt"))
}
