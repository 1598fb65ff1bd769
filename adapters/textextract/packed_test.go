package textextract_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/adapters/textextract"
	"lectern/domain"
)

// hostile are documents that hold text, and what is done to them.
type hostile struct {
	good   func(tb testing.TB, text string) []byte // with the text given
	deep   func(tb testing.TB) []byte              // with elements nested too deeply
	broken func(tb testing.TB) []byte              // with XML that ends too early
	locked func(tb testing.TB) []byte              // under a password, or DRM
	other  string                                  // an ending that it has not
}

func packedFormats() map[domain.Format]hostile {
	nested := strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000)
	office := func(testing.TB) []byte {
		return []byte(oleBytes + strings.Repeat("\x00", 600) + utf16z("EncryptedPackage"))
	}
	slide := func(content string) func(testing.TB) []byte {
		return func(tb testing.TB) []byte { tb.Helper(); return pptx(tb, []string{content}) }
	}
	text := func(content string) func(testing.TB) []byte {
		return func(tb testing.TB) []byte { tb.Helper(); return odt(tb, "", content) }
	}
	book := func(name, content string) func(testing.TB) []byte {
		return func(tb testing.TB) []byte { tb.Helper(); return epub(tb, "", []string{"<p>a</p>"}, name, content) }
	}
	sheet := func(content string) func(testing.TB) []byte {
		return func(tb testing.TB) []byte { tb.Helper(); return workbook(tb, content) }
	}
	return map[domain.Format]hostile{
		domain.FormatPPTX: {
			good:   func(tb testing.TB, s string) []byte { tb.Helper(); return pptx(tb, []string{shape("", line("", s))}) },
			deep:   slide(`<p:sp><p:txBody><a:p>` + nested + `</a:p></p:txBody></p:sp>`),
			broken: slide(`<p:sp>`), locked: office, other: "docx",
		},
		domain.FormatXLSX: {
			good: func(tb testing.TB, s string) []byte {
				tb.Helper()
				return sheet(`<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>` + s + `</t></is></c></row></sheetData></worksheet>`)(tb)
			},
			deep: sheet(`<worksheet>` + nested + `</worksheet>`), broken: sheet(`<worksheet><cols>`), locked: office, other: "odt",
		},
		domain.FormatODT: {
			good: func(tb testing.TB, s string) []byte { tb.Helper(); return odt(tb, "", `<text:p>`+s+`</text:p>`) },
			deep: text(`<text:p>` + nested + `</text:p>`), broken: text(`<text:p>`), other: "epub",
			locked: func(tb testing.TB) []byte {
				tb.Helper()
				return odt(tb, "", `x`, "META-INF/manifest.xml",
					`<manifest:manifest xmlns:manifest="m"><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>`)
			},
		},
		domain.FormatEPUB: {
			good: func(tb testing.TB, s string) []byte { tb.Helper(); return epub(tb, "", []string{`<p>` + s + `</p>`}) },
			deep: book("OEBPS/c1.xhtml", strings.Repeat("<div>", 1000)+"a"), broken: book("META-INF/container.xml", `<container>`), other: "xlsx",
			locked: book("META-INF/encryption.xml", `<encryption><EncryptedData><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>`+
				`</EncryptedData></encryption>`),
		},
	}
}

// workbook packs one whose only sheet is given as a part.
func workbook(tb testing.TB, sheet string) []byte {
	tb.Helper()
	const (
		relations = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">%s</Relationships>`
		spaces    = ` xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
	)
	return packParts(tb, archiveParts{
		"_rels/.rels", fmt.Sprintf(relations, pptxRelation("w", "officeDocument", "xl/workbook.xml")),
		"xl/workbook.xml", `<workbook` + spaces + `><sheets><sheet name="A" sheetId="1" r:id="s"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels", fmt.Sprintf(relations, pptxRelation("s", "worksheet", "worksheets/sheet1.xml")),
		"xl/worksheets/sheet1.xml", sheet,
	})
}

func TestAnArchiveThatCannotBeReadSaysWhy(t *testing.T) {
	t.Parallel()
	for format, h := range packedFormats() {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			good := h.good(t, "some words")
			text, err := extract(t, format, textextract.Options{}, good)
			require.NoError(t, err)
			require.Contains(t, printed(text), "some words")
			for name, c := range map[string]struct {
				content []byte
				options textextract.Options
				reason  domain.Reason
				says    string
			}{
				"torn":          {good[:len(good)/2], textextract.Options{}, domain.ReasonDocumentUnreadable, "." + string(format)},
				"broken":        {h.broken(t), textextract.Options{}, domain.ReasonDocumentUnreadable, "damaged"},
				"deep":          {h.deep(t), textextract.Options{}, domain.ReasonDocumentUnreadable, "damaged"},
				"locked":        {h.locked(t), textextract.Options{}, domain.ReasonDocumentEncrypted, "upload it"},
				"without words": {h.good(t, " "), textextract.Options{}, domain.ReasonDocumentUnreadable, "no text"},
				"many files":    {good, textextract.Options{MaxEntries: 1}, domain.ReasonDocumentUnreadable, "the limit is 1"},
				"large":         {good, textextract.Options{MaxUnpackedBytes: 200}, domain.ReasonDocumentUnreadable, "unpacks to more"},
				"dense":         {h.good(t, strings.Repeat("x", 2<<20)), textextract.Options{}, domain.ReasonDocumentUnreadable, "times its size"},
				"wordy":         {h.good(t, strings.Repeat("word ", 1000)), textextract.Options{MaxTextBytes: 4000}, domain.ReasonDocumentTooLarge, "split it"},
				"another":       {docx(t, docxP("", "x")), textextract.Options{}, domain.ReasonDocumentUnreadable, "Word document"},
				"an archive":    {packParts(t, archiveParts{"a", "b"}), textextract.Options{}, domain.ReasonDocumentUnreadable, "save it as ." + string(format)},
			} {
				_, err := extract(t, format, c.options, c.content)
				require.Equal(t, c.reason, domain.ReasonOf(err), "%s: %v", name, err)
				require.ErrorContains(t, err, c.says, name)
			}
		})
	}
}

func TestAnArchiveIsReadWithinItsTime(t *testing.T) {
	t.Parallel()
	for format, h := range packedFormats() {
		good := h.good(t, "words")
		_, err := extract(t, format, textextract.Options{Timeout: time.Nanosecond}, good)
		require.Equal(t, domain.ReasonDocumentUnreadable, domain.ReasonOf(err), "%s: %v", format, err)
		require.ErrorContains(t, err, "too long", "%s", format)

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = newExtractor(t, textextract.Options{}).Extract(ended, format, good)
		require.ErrorIs(t, err, context.Canceled, "%s", format)
	}
}

func TestAnArchiveIsToldByWhatIsInIt(t *testing.T) {
	t.Parallel()
	e := newExtractor(t, textextract.Options{})
	for format, h := range packedFormats() {
		good := h.good(t, "words")
		for _, name := range []string{"nameless", "A." + strings.ToUpper(string(format))} {
			found, err := e.Inspect(t.Context(), name, good)
			require.NoError(t, err, "%s as %s", format, name)
			require.Equal(t, format, found)
		}
		_, err := e.Inspect(t.Context(), "a."+h.other, good)
		require.Equal(t, domain.ReasonDocumentUnreadable, domain.ReasonOf(err), "%s: %v", format, err)
		require.ErrorContains(t, err, "the ending ."+string(format))
		_, err = e.Inspect(t.Context(), "a."+string(format), []byte("words"))
		require.ErrorContains(t, err, "save it again as ."+string(format))
		_, err = e.Inspect(t.Context(), "a."+string(format), h.locked(t))
		require.Equal(t, domain.ReasonDocumentEncrypted, domain.ReasonOf(err), "%s: %v", format, err)
	}
	_, err := e.Inspect(t.Context(), "nameless", packParts(t, archiveParts{"a", "b"}))
	require.Equal(t, domain.ReasonUnsupportedFormat, domain.ReasonOf(err), "%v", err)
}
