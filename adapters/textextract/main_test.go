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
func newExtractor(tb testing.TB, o textextract.Options) *textextract.Extractor {
	tb.Helper()
	if o.CacheDir == "" {
		o.CacheDir = cacheDir()
	}
	e := textextract.New(o)
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return e
}

func readFile(tb testing.TB, name string) []byte {
	tb.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// cacheDir returns "", which is no cache, where the user has none.
func cacheDir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "lectern", "wazero")
}
