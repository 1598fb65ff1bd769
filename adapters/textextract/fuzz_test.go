package textextract_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"lectern/adapters/textextract"
	"lectern/domain"
)

func FuzzHTML(f *testing.F) {
	fuzz(f, domain.FormatHTML, htmlSource, "<table><tr><td><table><tr><td>x")
}

func FuzzMarkdown(f *testing.F) {
	fuzz(f, domain.FormatMarkdown, markdownSource, "---\ntitle: x\n---\n<div>a\n\n> - b")
}

func FuzzText(f *testing.F) {
	fuzz(f, domain.FormatText, "1. A\n\nb\n- c\n", "\xff\xfea\x00", "\xcf\xf0\xe8")
}

// fuzz holds extraction to its word: an error with a reason, or clean blocks.
func fuzz(f *testing.F, format domain.Format, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	e := textextract.New(textextract.Options{})
	f.Fuzz(func(t *testing.T, content []byte) {
		text, err := e.Extract(t.Context(), format, content)
		if err != nil {
			if domain.ReasonOf(err) == "" {
				t.Fatalf("an error without a reason: %v", err)
			}
			return
		}
		for _, b := range text.Blocks {
			if b.Text == "" || strings.TrimSpace(b.Text) != b.Text && b.Kind != domain.BlockCode || !utf8.ValidString(b.Text) {
				t.Fatalf("a block that is not clean: %+v", b)
			}
		}
	})
}
