package textextract_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"lectern/adapters/textextract"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// newExtractor shares the compiled PDF reader between tests, in the user's cache.
func newExtractor(t testing.TB, o textextract.Options) *textextract.Extractor {
	t.Helper()
	if cache, err := os.UserCacheDir(); err == nil && o.CacheDir == "" {
		o.CacheDir = filepath.Join(cache, "lectern", "wazero")
	}
	e := textextract.New(o)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
