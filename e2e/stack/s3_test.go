package stack_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestAnS3BucketGoesWithItsTest(t *testing.T) {
	t.Parallel()
	var b stack.S3Bucket
	t.Run("a test", func(t *testing.T) {
		b = stack.S3(t)
		require.NotEqual(t, b.Name, stack.S3(t).Name)
		_, err := b.Client.PutObject(t.Context(), b.Name, "a/b", strings.NewReader("text"), 4, minio.PutObjectOptions{})
		require.NoError(t, err)
		keys, err := b.Keys(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"a/b"}, keys)
	})
	there, err := b.Client.BucketExists(t.Context(), b.Name)
	require.NoError(t, err)
	require.False(t, there)
}

func TestRunStartsS3AndStopsIt(t *testing.T) {
	temp, said := stack.Dir(t), filepath.Join(stack.Dir(t), "said")
	t.Setenv("TMPDIR", temp)
	t.Setenv(stack.S3Variable, "")
	_, err := stack.Run(t.Context(), []string{"sh", "-c", `printf %s "$LECTERN_TEST_S3" > "$0"`, said}, stack.WithS3)
	require.NoError(t, err)
	address, err := os.ReadFile(said)
	require.NoError(t, err)
	at, err := url.Parse(string(address))
	require.NoError(t, err)
	_, err = (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", at.Host)
	require.ErrorContains(t, err, "refused")
	left, err := filepath.Glob(filepath.Join(temp, "lectern-stack-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestS3ThatCannotBeHadFailsTheRunAndSaysWhatToDo(t *testing.T) {
	t.Setenv(stack.S3Variable, "")
	t.Setenv("PATH", stack.Dir(t))
	t.Setenv("XDG_CACHE_HOME", stack.Dir(t))
	_, err := stack.Run(t.Context(), []string{os.Args[0]}, stack.WithS3)
	for _, remedy := range []string{"go install", stack.S3Variable} {
		require.ErrorContains(t, err, remedy)
	}
}
