package textextract_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
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

// The targets of archives take the archive, or, where that is empty, the part
// that is put into one: few mutations of an archive are one.
func FuzzPPTX(f *testing.F) {
	seeds := []string{
		shape(`type="title"`, line("", "a")) + shape(`idx="1"`, line(`<a:pPr lvl="1"/>`, "b")),
		`<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc><a:txBody><a:p/></a:txBody></a:tc></a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>`,
	}
	fuzzPacked(f, domain.FormatPPTX, "testdata/objections.pptx", seeds, func(tb testing.TB, part string) []byte { tb.Helper(); return pptx(tb, []string{part}) })
}

func FuzzXLSX(f *testing.F) {
	seeds := []string{
		`<cols><col min="2" max="3" hidden="1"/></cols><sheetData><row r="2"><c r="B2" t="inlineStr"><is><t>a</t></is></c><c r="D2" s="1"><v>45000.5</v></c></row></sheetData>`,
		`<sheetData><row r="1048576" hidden="1"><c r="XFD1" t="b"><v>1</v></c></row><row><c t="d"><v>2026-11-25</v></c><c t="e"><v>#N/A</v></c></row></sheetData>`,
	}
	fuzzPacked(f, domain.FormatXLSX, "testdata/plan.xlsx", seeds, func(tb testing.TB, part string) []byte {
		tb.Helper()
		return workbook(tb, `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">`+part+`</worksheet>`)
	})
}

func FuzzODT(f *testing.F) {
	seeds := []string{
		`<text:h text:outline-level="2">a</text:h><text:list><text:list-item><text:p>b<text:s/>c</text:p></text:list-item></text:list>`,
		`<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell><table:covered-table-cell/></table:table-row></table:table>`,
	}
	fuzzPacked(f, domain.FormatODT, "testdata/handbook.odt", seeds, func(tb testing.TB, part string) []byte { tb.Helper(); return odt(tb, "", part) })
}

func FuzzEPUB(f *testing.F) {
	seeds := []string{
		`<h1>a</h1><p id="x">b<br/><a epub:type="noteref">1</a></p><aside>c</aside>`, `<li><a href="c1.xhtml#x">a</a><ol><li><a href="c1.xhtml">b</a></li></ol></li>`,
	}
	fuzzPacked(f, domain.FormatEPUB, "testdata/handbook.epub", seeds, func(tb testing.TB, part string) []byte {
		tb.Helper()
		return epub(tb, part, []string{part, "<p>b</p>"})
	})
}

func fuzzPacked(f *testing.F, format domain.Format, sample string, parts []string, pack func(testing.TB, string) []byte) {
	f.Helper()
	f.Add(readFile(f, sample), "")
	for _, part := range parts {
		f.Add([]byte(nil), part)
	}
	e := textextract.New(textextract.Options{MaxTextBytes: 1 << 20, MaxUnpackedBytes: 8 << 20, SpeakerNotes: true})
	f.Cleanup(func() { require.NoError(f, e.Close()) })
	f.Fuzz(func(t *testing.T, content []byte, part string) {
		if len(content) == 0 {
			content = pack(t, part)
		}
		checkExtraction(t, e, format, content)
	})
}

// fuzz holds extraction to its word: an error with a reason, or clean blocks.
func fuzz(f *testing.F, format domain.Format, seeds ...string) {
	f.Helper()
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	e := newExtractor(f, textextract.Options{})
	f.Fuzz(func(t *testing.T, content []byte) {
		checkExtraction(t, e, format, content)
	})
}

func checkExtraction(t *testing.T, e *textextract.Extractor, format domain.Format, content []byte) {
	t.Helper()
	text, err := e.Extract(t.Context(), format, content)
	if err != nil {
		require.NotEmpty(t, domain.ReasonOf(err), "an error without a reason: %v", err)
		return
	}
	for _, b := range text.Blocks {
		require.Empty(t, flawOf(b), "%+v", b)
	}
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
