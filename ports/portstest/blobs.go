package portstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"lectern/domain"
	"lectern/ports"
)

// TestBlobs checks that what open returns keeps the contract of ports.Blobs.
// open is called once a test and returns an empty store.
func TestBlobs(t *testing.T, open func(t *testing.T) ports.Blobs) {
	tests := map[string]func(t *testing.T, store ports.Blobs){
		"what was put comes back":                  blobsRoundTrip,
		"a later put replaces the earlier":         blobsReplace,
		"the limit itself is allowed, more is not": blobsLimit,
		"a reader that fails leaves nothing":       blobsFailedReader,
		"a put cut short keeps what was there":     blobsKeepOld,
		"a cancelled context stores nothing":       blobsCancelled,
		"a key that is not there is not found":     blobsNotFound,
		"delete removes, and may be repeated":      blobsDelete,
		"unsafe keys are refused":                  blobsUnsafeKeys,
		"puts at once each arrive whole":           blobsConcurrent,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const (
	blobKey   = "0f2c/7b1e.pdf"
	blobLimit = 1 << 20
)

func putBlob(t *testing.T, store ports.Blobs, key, content string) {
	t.Helper()
	_, _, err := store.Put(t.Context(), key, strings.NewReader(content), blobLimit)
	require.NoError(t, err)
}

func requireBlob(t *testing.T, store ports.Blobs, key, content string) {
	t.Helper()
	got, err := store.Get(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, content, string(got))
}

func requireNoBlob(t *testing.T, store ports.Blobs, key string) {
	t.Helper()
	_, err := store.Get(t.Context(), key)
	require.Equal(t, domain.ReasonDocumentNotFound, domain.ReasonOf(err), "%v", err)
}

func blobsRoundTrip(t *testing.T, store ports.Blobs) {
	content := bytes.Repeat([]byte{0, 0xff, 'x'}, 100_000)
	for _, limit := range []int64{int64(len(content)), math.MaxInt64} {
		size, sum, err := store.Put(t.Context(), blobKey, bytes.NewReader(content), limit)
		require.NoError(t, err)
		want := sha256.Sum256(content)
		require.Equal(t, hex.EncodeToString(want[:]), sum)
		require.EqualValues(t, len(content), size)
		requireBlob(t, store, blobKey, string(content))
	}
}

func blobsReplace(t *testing.T, store ports.Blobs) {
	putBlob(t, store, blobKey, "a longer first text")
	putBlob(t, store, blobKey, "second")
	requireBlob(t, store, blobKey, "second")
}

func blobsLimit(t *testing.T, store ports.Blobs) {
	_, _, err := store.Put(t.Context(), blobKey, strings.NewReader("12345"), 4)
	require.Equal(t, domain.ReasonDocumentTooLarge, domain.ReasonOf(err), "%v", err)
	requireNoBlob(t, store, blobKey)
	_, _, err = store.Put(t.Context(), blobKey, strings.NewReader("1234"), 4)
	require.NoError(t, err)
	requireBlob(t, store, blobKey, "1234")
}

func blobsFailedReader(t *testing.T, store ports.Blobs) {
	broken := errors.New("the connection broke")
	r := io.MultiReader(strings.NewReader("half of it"), iotest.ErrReader(broken))
	_, _, err := store.Put(t.Context(), blobKey, r, blobLimit)
	require.ErrorIs(t, err, broken)
	requireNoBlob(t, store, blobKey)
}

func blobsKeepOld(t *testing.T, store ports.Blobs) {
	putBlob(t, store, blobKey, "old")
	_, _, err := store.Put(t.Context(), blobKey, iotest.ErrReader(io.ErrUnexpectedEOF), blobLimit)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _, err = store.Put(t.Context(), blobKey, strings.NewReader("too large"), 1)
	require.Error(t, err)
	requireBlob(t, store, blobKey, "old")
}

func blobsCancelled(t *testing.T, store ports.Blobs) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := store.Put(ctx, blobKey, strings.NewReader("text"), blobLimit)
	require.ErrorIs(t, err, context.Canceled)
	requireNoBlob(t, store, blobKey)
}

func blobsNotFound(t *testing.T, store ports.Blobs) {
	requireNoBlob(t, store, blobKey)
	putBlob(t, store, "a/b/c", "text")
	for _, near := range []string{"a", "a/b", "a/b/c/d", "a/b/C"} {
		requireNoBlob(t, store, near)
		require.NoError(t, store.Delete(t.Context(), near))
	}
	requireBlob(t, store, "a/b/c", "text")
}

func blobsDelete(t *testing.T, store ports.Blobs) {
	putBlob(t, store, blobKey, "text")
	putBlob(t, store, blobKey+".2", "neighbour")
	for range 2 {
		require.NoError(t, store.Delete(t.Context(), blobKey))
		requireNoBlob(t, store, blobKey)
	}
	requireBlob(t, store, blobKey+".2", "neighbour")
	putBlob(t, store, blobKey, "again")
	requireBlob(t, store, blobKey, "again")
}

func blobsUnsafeKeys(t *testing.T, store ports.Blobs) {
	keys := []string{
		"", ".", "..", "/", "/etc/passwd", "../up", "a/../b", "a/./b", "a//b", "a/", "/a", `a\b`, "a\x00b", "a\nb",
		".hidden", "a/.hidden", "ключ", "a b", "C:x", strings.Repeat("a", 1000), strings.Repeat("a/", 1000) + "a",
	}
	for _, key := range keys {
		_, _, err := store.Put(t.Context(), key, strings.NewReader("x"), blobLimit)
		require.Equal(t, domain.ReasonInvalidField, domain.ReasonOf(err), "Put(%q): %v", key, err)
		_, err = store.Get(t.Context(), key)
		require.Equal(t, domain.ReasonInvalidField, domain.ReasonOf(err), "Get(%q): %v", key, err)
		err = store.Delete(t.Context(), key)
		require.Equal(t, domain.ReasonInvalidField, domain.ReasonOf(err), "Delete(%q): %v", key, err)
	}
}

func blobsConcurrent(t *testing.T, store ports.Blobs) {
	const writers = 16
	texts := make([]string, writers)
	results := make([]error, writers)
	var wait sync.WaitGroup
	for i := range writers {
		texts[i] = strings.Repeat(fmt.Sprintf("%02d", i), 50_000)
		wait.Go(func() {
			for _, key := range []string{"shared/key", fmt.Sprintf("own/%d/key", i)} {
				_, _, err := store.Put(t.Context(), key, strings.NewReader(texts[i]), blobLimit)
				results[i] = errors.Join(results[i], err)
			}
		})
	}
	wait.Wait()
	require.NoError(t, errors.Join(results...))
	shared, err := store.Get(t.Context(), "shared/key")
	require.NoError(t, err)
	require.Contains(t, texts, string(shared))
	for i, text := range texts {
		requireBlob(t, store, fmt.Sprintf("own/%d/key", i), text)
	}
}
