package textextract_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"lectern/adapters/textextract"
	"lectern/domain"
)

const markdownSource = "# Title\n\nFirst *line*\nand [second](http://x).\n\n## Part & parcel\n\n- one\n  - two `x<y>`\n\n1. three\n\n" +
	"| a | b |\n|---|---|\n| 1 | **2** |\n\n```go\nif x {\n\ty()\n}\n```\n"

const htmlSource = `<html><head><title>Page</title><style>p{}</style></head><body>
<nav><a href="/">Menu</a></nav><h1>Title</h1><p>First <b>line</b>.</p><script>evil()</script>
<h2>Part</h2><ul><li>one<ul><li>two</li></ul></li></ul>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table><pre>x
  y</pre><footer>Foot</footer></body></html>`

func TestEachFormatGivesItsBlocks(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	block := func(kind domain.BlockKind, text string) domain.Block { return domain.Block{Kind: kind, Text: text} }
	within := func(text string) domain.Block { return domain.Block{Kind: domain.BlockListItem, Level: 1, Text: text} }
	heading := func(level int, text string) domain.Block {
		return domain.Block{Kind: domain.BlockHeading, Level: level, Text: text}
	}
	for _, tt := range []struct {
		format domain.Format
		source string
		want   []domain.Block
	}{
		{domain.FormatMarkdown, markdownSource, []domain.Block{
			heading(1, "Title"), block(domain.BlockParagraph, "First line and second."), heading(2, "Part & parcel"),
			block(domain.BlockListItem, "one"), within("two x<y>"), block(domain.BlockListItem, "three"),
			block(domain.BlockTableRow, "a | b"), block(domain.BlockTableRow, "1 | 2"), block(domain.BlockCode, "if x {\n    y()\n}"),
		}},
		{domain.FormatHTML, htmlSource, []domain.Block{
			heading(1, "Title"), block(domain.BlockParagraph, "First line."), heading(2, "Part"),
			block(domain.BlockListItem, "one"), within("two"),
			block(domain.BlockTableRow, "a | b"), block(domain.BlockTableRow, "1 | 2"), block(domain.BlockCode, "x\n  y"),
		}},
	} {
		text, err := e.Extract(t.Context(), tt.format, []byte(tt.source))
		if err != nil || text.Title != "Title" || !slices.Equal(text.Blocks, tt.want) {
			t.Errorf("%s: %v, title %q\n got %v\nwant %v", tt.format, err, text.Title, text.Blocks, tt.want)
		}
	}
}

func TestTextIsReadInWhateverCharset(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	want := strings.Repeat("Возражение — нормальная часть выбора, и консультант отвечает на него доводом. ", 5)
	for name, enc := range map[string]encoding.Encoding{
		"UTF-8": encoding.Nop, "UTF-8 with a mark": unicode.UTF8BOM, "windows-1251": charmap.Windows1251,
		"UTF-16LE with a mark": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
		"UTF-16BE with a mark": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	} {
		content, err := enc.NewEncoder().String(want)
		if err != nil {
			t.Fatal(err)
		}
		format, err := e.Inspect(t.Context(), "a.txt", []byte(content))
		if err != nil {
			t.Errorf("%s: inspect: %v", name, err)
			continue
		}
		text, err := e.Extract(t.Context(), format, []byte(content))
		if err != nil || len(text.Blocks) != 1 || text.Blocks[0].Text != strings.TrimSpace(want) {
			t.Errorf("%s: %v, %v", name, text.Blocks, err)
		}
	}
}

func TestAListInAPDFKeepsItsItems(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	text, err := e.Extract(t.Context(), domain.FormatPDF, readFile(t, samples+"/04-consultative-selling.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	items := 0
	for _, b := range text.Blocks {
		if b.Kind == domain.BlockListItem {
			items++
		}
		if strings.Trim(b.Text, "•0123456789.") == "" {
			t.Errorf("a mark alone: %q", b.Text)
		}
	}
	if items == 0 {
		t.Error("no list items")
	}
}

func TestAnEndedContextStopsReading(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, format := range []domain.Format{domain.FormatPDF, domain.FormatMarkdown, domain.FormatHTML, domain.FormatText} {
		content := []byte("some words")
		if format == domain.FormatPDF {
			content = readFile(t, "testdata/plain.pdf")
		}
		if _, err := e.Extract(ctx, format, content); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestDeepNestingIsSurvived(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	for format, content := range map[domain.Format]string{
		domain.FormatHTML:     strings.Repeat("<div>", 100_000) + "words",
		domain.FormatMarkdown: strings.Repeat("> ", 500_000) + " words",
	} {
		if _, err := e.Extract(t.Context(), format, []byte(content)); err != nil && domain.ReasonOf(err) == "" {
			t.Errorf("%s: %v, want text or a reason", format, err)
		}
	}
}
