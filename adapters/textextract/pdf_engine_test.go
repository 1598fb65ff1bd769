package textextract_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lectern/adapters/textextract"
	"lectern/domain"
)

func TestAfterADocumentThatHangsTheNextIsRead(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	content := readFile(t, "testdata/plain.pdf")
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		started := make(chan struct{})
		go func() { <-started; cancel() }()
		if err := e.Hang(ctx, content, started); !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted: %v", err)
		}
		if _, err := e.Extract(t.Context(), domain.FormatPDF, content); err != nil {
			t.Fatalf("the next: %v", err)
		}
	}
}

func TestADocumentThatHangsIsUnreadable(t *testing.T) {
	e := newExtractor(t, textextract.Options{Timeout: 500 * time.Millisecond})
	err := e.Hang(t.Context(), readFile(t, "testdata/plain.pdf"), make(chan struct{}))
	if domain.ReasonOf(err) != domain.ReasonDocumentUnreadable {
		t.Errorf("%v", err)
	}
}

func TestCloseInterruptsWhatIsBeingRead(t *testing.T) {
	e := textextract.New(textextract.Options{CacheDir: cacheDir()})
	content := readFile(t, "testdata/plain.pdf")
	started, hung := make(chan struct{}), make(chan error)
	go func() { hung <- e.Hang(context.Background(), content, started) }()
	<-started
	closed := make(chan error)
	go func() { closed <- e.Close() }()
	if err := <-hung; err == nil || domain.ReasonOf(err) != "" {
		t.Errorf("interrupted: %v, want an error that does not blame the document", err)
	}
	if err := errors.Join(<-closed, e.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := e.Extract(t.Context(), domain.FormatPDF, content); err == nil || domain.ReasonOf(err) != "" {
		t.Errorf("after close: %v, want an error that does not blame the document", err)
	}
}

func TestPDFsAreReadSideBySide(t *testing.T) {
	e := newExtractor(t, textextract.Options{Readers: 2})
	content := readFile(t, "testdata/plain.pdf")
	errs := make([]error, 6)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() { _, errs[i] = e.Extract(t.Context(), domain.FormatPDF, content) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestACacheFolderThatCannotBeUsedIsNamed(t *testing.T) {
	dir := filepath.Join("testdata", "plain.pdf") // a file
	e := newExtractor(t, textextract.Options{CacheDir: dir})
	_, err := e.Inspect(t.Context(), "a.pdf", readFile(t, "testdata/plain.pdf"))
	if err == nil || domain.ReasonOf(err) != "" || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want an error that names %s", err, dir)
	}
}

func BenchmarkPDF(b *testing.B) {
	e := newExtractor(b, textextract.Options{})
	content := readFile(b, samples+"/03-voronka-i-metriki.pdf")
	pages := 0
	for b.Loop() {
		text, err := e.Extract(b.Context(), domain.FormatPDF, content)
		if err != nil {
			b.Fatal(err)
		}
		pages += text.Blocks[len(text.Blocks)-1].Page
	}
	b.ReportMetric(float64(pages)/b.Elapsed().Seconds(), "pages/s")
}

func BenchmarkFirstPDF(b *testing.B) {
	content := readFile(b, "testdata/plain.pdf")
	for name, dir := range map[string]string{"compiled before": cacheDir(), "never compiled": ""} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				e := textextract.New(textextract.Options{CacheDir: dir})
				if _, err := e.Inspect(b.Context(), "a.pdf", content); err != nil {
					b.Fatal(err)
				}
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
