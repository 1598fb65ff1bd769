package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/configs"
	"lectern/domain"
)

// For root, the folder that the fetched Postgres lies in must stay open to the
// user that runs it: the PDF reader's cache, closed to others, is not there.
func TestPDFReaderIsKeptInTheUsersOwnCache(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	e := newExtractor(configs.Documents{MaxBytes: domain.MaxDocumentBytes}, 1)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	content, err := os.ReadFile("../../docs/samples/04-consultative-selling.pdf")
	require.NoError(t, err)
	_, err = e.Inspect(t.Context(), "a.pdf", content)
	require.NoError(t, err)
	kept, err := filepath.Glob(filepath.Join(cache, "lectern", "pdf", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, kept)
}
