package textextract_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

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
	f.Helper()
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	e := newExtractor(f, textextract.Options{})
	f.Fuzz(func(t *testing.T, content []byte) {
		text, err := e.Extract(t.Context(), format, content)
		if err != nil {
			if domain.ReasonOf(err) == "" {
				t.Fatalf("an error without a reason: %v", err)
			}
			return
		}
		for _, b := range text.Blocks {
			if flaw := flawOf(b); flaw != "" {
				t.Fatalf("%s: %+v", flaw, b)
			}
		}
	})
}

// flawOf says what a block has that the port's contract rules out.
func flawOf(b domain.Block) string {
	code := b.Kind == domain.BlockCode
	switch {
	case b.Text == "":
		return "empty"
	case !utf8.ValidString(b.Text):
		return "not UTF-8"
	case !norm.NFC.IsNormalString(b.Text):
		return "not NFC"
	case !code && strings.Join(strings.Fields(b.Text), " ") != b.Text:
		return "superfluous spaces"
	case strings.ContainsFunc(b.Text, func(r rune) bool { return unicode.IsControl(r) && (!code || r != '\n') }):
		return "control characters"
	case b.Level < 0, b.Kind == domain.BlockHeading && b.Level == 0, b.Kind != domain.BlockHeading && b.Kind != domain.BlockListItem && b.Level != 0:
		return "a level that does not go with the kind"
	}
	return ""
}
