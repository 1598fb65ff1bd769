package textextract_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lectern/adapters/textextract"
	"lectern/domain"
)

const epubContainer = `<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>`

// epub packs chapters, given by their bodies, as c1.xhtml and so on, with a
// table of contents and further parts.
func epub(tb testing.TB, contents string, chapters []string, more ...string) []byte {
	tb.Helper()
	var manifest, spine strings.Builder
	parts := archiveParts{"mimetype", "application/epub+zip", "META-INF/container.xml", epubContainer}
	for i, body := range chapters {
		fmt.Fprintf(&manifest, `<item id="c%d" href="c%d.xhtml" media-type="application/xhtml+xml"/>`, i+1, i+1)
		fmt.Fprintf(&spine, `<itemref idref="c%d"/>`, i+1)
		parts = append(parts, fmt.Sprintf("OEBPS/c%d.xhtml", i+1), xhtml(body))
	}
	parts = append(parts, "OEBPS/nav.xhtml", xhtml(`<nav epub:type="toc"><ol>`+contents+`</ol></nav><nav epub:type="landmarks"><ol><li><a href="c1.xhtml">x</a></li></ol></nav>`),
		"OEBPS/book.opf", `<package xmlns:dc="dc"><metadata><dc:title>The book</dc:title><dc:title>Its series</dc:title></metadata><manifest>`+
			`<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/><item id="pic" href="c.svg" media-type="image/svg+xml"/>`+
			manifest.String()+`</manifest><spine><itemref idref="pic"/><itemref idref="nav"/>`+spine.String()+`</spine></package>`)
	return packParts(tb, append(parts, more...))
}

func xhtml(body string) string {
	return `<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="e"><head><title/><script src="x"/></head><body>` +
		body + `</body></html>`
}

func TestTheTableOfContentsGivesABooksHeadings(t *testing.T) {
	t.Parallel()
	entry := func(href, label, within string) string {
		return `<li><a href="` + href + `">` + label + `</a>` + within + `</li>`
	}
	for name, c := range map[string]struct {
		contents string
		chapters []string
		want     []domain.Block
	}{
		"its levels win, and the headings below move along, into the next part too": {
			entry("c1.xhtml", "Part one", `<ol>`+entry("c1.xhtml#one", "First", "")+`</ol>`),
			[]string{`<h1>Part one</h1><h1 id="one">First</h1><h2>Detail</h2><p>a</p>`, `<h2>More</h2><p>b</p>`},
			[]domain.Block{
				docxHeading(1, "Part one"), docxHeading(2, "First"), docxHeading(3, "Detail"), docxParagraph("a"), docxHeading(3, "More"), docxParagraph("b"),
			},
		},
		"a chapter without a heading gets one": {
			entry("c1.xhtml", "First", "") + entry("c1.xhtml#two", "Second", ""),
			[]string{`<p>a</p><section><p>b <a id="two"/>c</p></section>`},
			[]domain.Block{docxHeading(1, "First"), docxParagraph("a"), docxHeading(1, "Second"), docxParagraph("b c")},
		},
		"a paragraph that reads as the entry does is the heading": {
			entry("c1.xhtml", "The First", ""),
			[]string{`<p class="chapter">The  first</p><p>a</p>`},
			[]domain.Block{docxHeading(1, "The first"), docxParagraph("a")},
		},
		"a heading that reads otherwise is it too": {
			entry("c1.xhtml#x", "1. Short", ""),
			[]string{`<div id="x"><h3>The long form</h3><p>a</p></div>`},
			[]domain.Block{docxHeading(1, "The long form"), docxParagraph("a")},
		},
		"names in it are written as in addresses": {
			entry("./c1.xhtml#%D0%B0", "Первая", "") + entry("none.xhtml", "None", ""),
			[]string{`<h2 id="а">Первая</h2><p>a</p>`},
			[]domain.Block{docxHeading(1, "Первая"), docxParagraph("a")},
		},
		"a page without text gets no heading": {
			entry("c1.xhtml", "Cover", ""), []string{`<img src="cover.png"/>`, `<p>a</p>`}, []domain.Block{docxParagraph("a")},
		},
		"without one the chapters' own stand": {
			"", []string{`<h1>First</h1><h3>Detail</h3><p>a</p>`}, []domain.Block{docxHeading(1, "First"), docxHeading(3, "Detail"), docxParagraph("a")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := extract(t, domain.FormatEPUB, textextract.Options{}, epub(t, c.contents, c.chapters))
			require.NoError(t, err)
			assert.Equal(t, domain.Text{Title: "The book", Blocks: c.want}, text)
		})
	}
}

func TestABooksChaptersAreReadWithoutWhatIsBesides(t *testing.T) {
	t.Parallel()
	chapter := `<h1>The book</h1><p>Read<span epub:type="pagebreak" title="3">3</span> this<a epub:type="noteref" href="#n"><sup>1</sup></a>.</p>` +
		`<aside epub:type="sidebar"><p>And that.</p></aside><aside epub:type="footnote" id="n"><p>A note.</p></aside>` +
		`<div class="footnotes"><p>Another.</p></div><table><tr><td>a</td><td></td><td>b</td></tr></table><pre>x
  y</pre>`
	text, err := extract(t, domain.FormatEPUB, textextract.Options{}, epub(t, "", []string{chapter}))
	require.NoError(t, err)
	require.Equal(t, domain.Text{Title: "The book", Blocks: []domain.Block{
		docxParagraph("Read this."), docxParagraph("And that."), docxRow("a | | b"), {Kind: domain.BlockCode, Text: "x\n  y"},
	}}, text)
}

func TestDisguisedFontsLockNoBook(t *testing.T) {
	t.Parallel()
	_, err := extract(t, domain.FormatEPUB, textextract.Options{}, epub(t, "", []string{"<p>a</p>"}, "META-INF/encryption.xml",
		`<encryption><EncryptedData><EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/></EncryptedData></encryption>`))
	require.NoError(t, err)
}
