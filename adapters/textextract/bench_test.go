package textextract_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/adapters/textextract"
	"lectern/domain"
)

// BenchmarkPDFPages reads the sample PDFs, one after the other, on one core:
// the reader has no second. What counts is pages/s.
func BenchmarkPDFPages(b *testing.B) {
	e := newExtractor(b, textextract.Options{})
	names, err := filepath.Glob(samples + "/*.pdf")
	require.NoError(b, err)
	require.NotEmpty(b, names)
	var contents [][]byte
	for _, name := range names {
		contents = append(contents, readFile(b, name))
	}
	_, err = e.Extract(b.Context(), domain.FormatPDF, contents[0]) // starts the reader
	require.NoError(b, err)
	pages := 0
	for b.Loop() {
		for _, content := range contents {
			text, err := e.Extract(b.Context(), domain.FormatPDF, content)
			require.NoError(b, err)
			pages += text.Blocks[len(text.Blocks)-1].Page
		}
	}
	b.ReportMetric(float64(pages)/b.Elapsed().Seconds(), "pages/s")
}

// BenchmarkFormats reads what office programs wrote.
func BenchmarkFormats(b *testing.B) {
	e := newExtractor(b, textextract.Options{})
	for _, name := range []string{"handbook.docx", "handbook.odt", "handbook.epub", "objections.pptx", "plan.xlsx"} {
		b.Run(filepath.Ext(name)[1:], func(b *testing.B) {
			content := readFile(b, "testdata/"+name)
			for b.Loop() {
				_, err := e.Extract(b.Context(), domain.Format(filepath.Ext(name)[1:]), content)
				require.NoError(b, err)
			}
		})
	}
}
