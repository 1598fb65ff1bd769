package stack_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestRedisGoesWhenItsProgramIsKilled(t *testing.T) {
	t.Parallel()
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = append(os.Environ(), victim+"=yes", stack.RedisVariable+"=")
	program.Stderr = os.Stderr
	in, err := program.StdinPipe() // the command below ends when it is closed
	require.NoError(t, err)
	out, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	t.Cleanup(func() { _ = in.Close() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	address := strings.TrimSpace(line)
	require.NoError(t, dial(t, address))

	require.NoError(t, program.Process.Kill())
	_ = program.Wait()
	require.Eventually(t, func() bool { return dial(t, address) != nil }, 10*time.Second, 10*time.Millisecond)
}
