package embeddedpostgres_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lectern/adapters/embeddedpostgres"
)

func TestBinariesAreFetchedOnceByAllWhoWantThem(t *testing.T) {
	repository := newRepository(t)
	o := cached(t)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if _, err := embeddedpostgres.EnsureBinaries(t.Context(), o, repository.url); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := repository.archives.Load(); n != 1 {
		t.Errorf("fetched %d times, want once", n)
	}
}

func TestFetchReportsItsProgress(t *testing.T) {
	repository := newRepository(t)
	var steps []embeddedpostgres.Progress
	o := cached(t)
	o.Progress = func(p embeddedpostgres.Progress) { steps = append(steps, p) }
	_, err := embeddedpostgres.EnsureBinaries(t.Context(), o, repository.url)
	must(t, err)

	size := int64(len(repository.archive))
	first, last := steps[0], steps[len(steps)-1]
	if first != (embeddedpostgres.Progress{Step: embeddedpostgres.StepDownload}) {
		t.Errorf("the first report is %+v", first)
	}
	if last != (embeddedpostgres.Progress{Step: embeddedpostgres.StepExtract}) {
		t.Errorf("the last report is %+v", last)
	}
	want := embeddedpostgres.Progress{Step: embeddedpostgres.StepDownload, Done: size, Total: size}
	if got := steps[len(steps)-2]; got != want {
		t.Errorf("the download ended with %+v, want %+v", got, want)
	}
}

func TestBinariesCanBeRunByEveryUser(t *testing.T) {
	home, err := embeddedpostgres.EnsureBinaries(t.Context(), cached(t), newRepository(t).url)
	must(t, err)
	for _, program := range []string{"initdb", "postgres", "pg_ctl"} {
		info, err := os.Stat(filepath.Join(home, "bin", program))
		must(t, err)
		if info.Mode().Perm()&0o555 != 0o555 {
			t.Errorf("%s has mode %s", program, info.Mode())
		}
	}
}

func TestHalfDoneFetchIsRedone(t *testing.T) {
	repository := newRepository(t)
	o := cached(t)
	home, err := embeddedpostgres.EnsureBinaries(t.Context(), o, repository.url)
	must(t, err)
	must(t, os.RemoveAll(home))
	write(t, filepath.Join(home+".new", "bin", "pg_ctl"), "half a file")

	_, err = embeddedpostgres.EnsureBinaries(t.Context(), o, repository.url)
	must(t, err)
	text, err := os.ReadFile(filepath.Join(home, "bin", "pg_ctl"))
	must(t, err)
	if !strings.Contains(string(text), "stand-in") {
		t.Errorf("pg_ctl is still %q", text)
	}
}

func TestFailedFetchLeavesNothingAndSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*repository)
		want  string
	}{
		"nothing there":     {func(r *repository) { r.missing = ".jar" }, "404"},
		"no checksum there": {func(r *repository) { r.missing = ".sha256" }, "404"},
		"another checksum":  {func(r *repository) { r.checksum = strings.Repeat("0", 64) }, "checksum"},
		"cut off":           {func(r *repository) { r.short = true }, "EOF"},
		"no server":         {func(r *repository) { r.server.Close() }, "refused"},
		"not an archive":    {func(r *repository) { r.setArchive([]byte("not one")) }, "zip"},
	} {
		t.Run(name, func(t *testing.T) {
			repository := newRepository(t)
			c.spoil(repository)
			o := cached(t)
			_, err := embeddedpostgres.EnsureBinaries(t.Context(), o, repository.url)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "network") {
				t.Errorf("fetch: %v, want an error about %q that says what to do", err, c.want)
			}
			left, err := filepath.Glob(filepath.Join(o.CacheDir, "postgres-*[^k]"))
			must(t, err)
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestFetchCanBeCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	if _, err := embeddedpostgres.EnsureBinaries(ctx, cached(t), server.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("fetch: %v, want context.Canceled", err)
	}
}

// The library keeps this address in a private field: a new version may rename it.
func TestLibraryStillTellsItsRepository(t *testing.T) {
	address, err := embeddedpostgres.LibraryRepository()
	must(t, err)
	if !strings.HasPrefix(address, "https://") {
		t.Errorf("the library's repository is %q", address)
	}
}

// cached are options with a cache folder of the test's own.
func cached(t *testing.T) embeddedpostgres.Options {
	t.Helper()
	o := embeddedpostgres.Options{CacheDir: filepath.Dir(folder(t))}
	t.Setenv("TMPDIR", t.TempDir()) // the library leaves a log there
	return o
}

// repository serves stand-ins for the binaries, the way the library expects them.
type repository struct {
	server            *httptest.Server
	url               string
	archive           []byte
	checksum, missing string
	short             bool
	archives          atomic.Int32
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	binaries, err := os.ReadFile(filepath.Join("testdata", "binaries.txz"))
	must(t, err)
	var archive bytes.Buffer
	writer := zip.NewWriter(&archive)
	file, err := writer.Create("binaries.txz")
	must(t, err)
	_, err = file.Write(binaries)
	must(t, err)
	must(t, writer.Close())

	r := &repository{}
	r.setArchive(archive.Bytes())
	r.server = httptest.NewServer(r)
	r.url = r.server.URL
	t.Cleanup(r.server.Close)
	return r
}

func (r *repository) setArchive(archive []byte) {
	sum := sha256.Sum256(archive)
	r.archive, r.checksum = archive, hex.EncodeToString(sum[:])
}

func (r *repository) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	switch {
	case r.missing != "" && strings.HasSuffix(q.URL.Path, r.missing):
		http.NotFound(w, q)
	case strings.HasSuffix(q.URL.Path, ".sha256"):
		_, _ = w.Write([]byte(r.checksum))
	case r.short:
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(r.archive)
	default:
		r.archives.Add(1)
		_, _ = w.Write(r.archive)
	}
}
