package fileblobs_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/adapters/fileblobs"
	"lectern/domain"
	"lectern/ports"
	"lectern/ports/portstest"
)

func open(t *testing.T, dir string) *fileblobs.Store {
	t.Helper()
	store, err := fileblobs.New(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func TestStoreKeepsTheContract(t *testing.T) {
	portstest.TestBlobs(t, func(t *testing.T) ports.Blobs {
		return open(t, filepath.Join(t.TempDir(), "not", "there", "yet"))
	})
}

func TestBlobsSurviveReopening(t *testing.T) {
	dir := t.TempDir()
	_, _, err := open(t, dir).Put(t.Context(), "a/b.pdf", strings.NewReader("text"), 10)
	require.NoError(t, err)
	got, err := open(t, dir).Get(t.Context(), "a/b.pdf")
	require.NoError(t, err)
	require.Equal(t, "text", string(got))
}

func TestNewRemovesWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	left := filepath.Join(dir, ".incoming", "half-written")
	require.NoError(t, os.WriteFile(left, []byte("ha"), 0o600))
	longAgo := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(left, longAgo, longAgo))
	open(t, dir)
	require.NoFileExists(t, left)
}

// opening opens the store once more when it is read.
type opening struct {
	t   *testing.T
	dir string
}

func (o opening) Read([]byte) (int, error) {
	open(o.t, o.dir)
	return 0, io.EOF
}

func TestAProcessThatStartsLeavesTheOthersTheirUploads(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	_, _, err := store.Put(t.Context(), "a.txt", io.MultiReader(strings.NewReader("te"), opening{t, dir}, strings.NewReader("xt")), 10)
	require.NoError(t, err)
	got, err := store.Get(t.Context(), "a.txt")
	require.NoError(t, err)
	require.Equal(t, "text", string(got))
}

func TestAFailedPutLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	_, _, err := store.Put(t.Context(), "a", strings.NewReader("too large"), 3)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonDocumentTooLarge})
	_, _, err = store.Put(t.Context(), "a", strings.NewReader("fits"), 4)
	require.NoError(t, err)
	_, _, err = store.Put(t.Context(), "a/under-a-file", strings.NewReader("fits"), 4)
	require.Error(t, err)
	require.Equal(t, []string{"a"}, files(t, dir))
}

func TestBlobsAreReadableByTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	_, _, err := open(t, dir).Put(t.Context(), "course/document", strings.NewReader("text"), 10)
	require.NoError(t, err)
	for name, mode := range map[string]fs.FileMode{"course": 0o700, "course/document": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
}

func TestALinkOutOfTheFolderIsNotFollowed(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
	_, err := open(t, dir).Get(t.Context(), "link")
	require.Error(t, err)
}

func TestNewNamesAFolderThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := fileblobs.New(file)
	require.ErrorContains(t, err, file)
}

func TestACancelledGetStops(t *testing.T) {
	store := open(t, t.TempDir())
	_, _, err := store.Put(t.Context(), "a", strings.NewReader("text"), 10)
	require.NoError(t, err)
	gone := errors.New("the caller is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	_, err = store.Get(ctx, "a")
	require.ErrorIs(t, err, gone)
	require.ErrorIs(t, store.Delete(ctx, "a"), gone)
}

// files returns the paths of the files below dir.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		paths = append(paths, rel)
		return err
	}))
	return paths
}
