package textextract_test

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lectern/adapters/textextract"
	"lectern/domain"
)

// archiveParts are an archive's files: name, content, name, content.
type archiveParts []string

// docx packs a document of the given body, with further entries.
func docx(tb testing.TB, body string, more ...string) []byte {
	tb.Helper()
	return packParts(tb, append(archiveParts{"word/document.xml", docxDocument(body)}, more...))
}

func docxDocument(body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"` +
		` xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:body>` + body + `</w:body></w:document>`
}

func packParts(tb testing.TB, entries archiveParts) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(entries); i += 2 {
		f, err := w.Create(entries[i])
		require.NoError(tb, err)
		_, err = io.WriteString(f, entries[i+1])
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return out.Bytes()
}

func extractDOCX(tb testing.TB, o textextract.Options, content []byte) (domain.Text, error) {
	tb.Helper()
	e := textextract.New(o)
	tb.Cleanup(func() { require.NoError(tb, e.Close()) })
	return e.Extract(tb.Context(), domain.FormatDOCX, content)
}

// docxP makes a paragraph of one run, in a style unless that is "".
func docxP(style, text string) string {
	if style != "" {
		style = `<w:pPr><w:pStyle w:val="` + style + `"/></w:pPr>`
	}
	return `<w:p>` + style + `<w:r><w:t>` + text + `</w:t></w:r></w:p>`
}

func docxStyle(id, name, rest string) string {
	return `<w:style w:type="paragraph" w:styleId="` + id + `"><w:name w:val="` + name + `"/>` + rest + `</w:style>`
}

func docxParagraph(text string) domain.Block {
	return domain.Block{Kind: domain.BlockParagraph, Text: text}
}

func docxHeading(level int, text string) domain.Block {
	return domain.Block{Kind: domain.BlockHeading, Level: level, Text: text}
}

func docxItem(text string) domain.Block { return domain.Block{Kind: domain.BlockListItem, Text: text} }

func docxRow(text string) domain.Block { return domain.Block{Kind: domain.BlockTableRow, Text: text} }

func TestDOCXSampleHasTheHeadingsOfItsSource(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/samples/01-metodika-prodazh.docx")
	require.NoError(t, err)
	source, err := os.ReadFile("../../docs/samples/src/01-metodika-prodazh.md")
	require.NoError(t, err)

	text, err := extractDOCX(t, textextract.Options{}, content)

	require.NoError(t, err)
	var want, got []domain.Block
	for _, m := range regexp.MustCompile(`(?m)^(#+) (.+)$`).FindAllSubmatch(source, -1) {
		want = append(want, docxHeading(len(m[1]), string(m[2])))
	}
	kinds := map[domain.BlockKind]int{}
	for _, b := range text.Blocks {
		if kinds[b.Kind]++; b.Kind == domain.BlockHeading {
			got = append(got, b)
		}
		assert.NotContains(t, b.Text, "пособие консультанта", "the header's text")
	}
	assert.Equal(t, want, got)
	assert.Equal(t, "Методика продажи образовательных программ", text.Title)
	assert.Contains(t, text.Blocks, docxRow("Вариант | Платёж | Всего | Кому подходит"))
	assert.Contains(t, text.Blocks, docxItem("родитель спрашивает о безопасности, контроле и пользе для поступления;"))
}

func TestDOCXBodyBecomesBlocks(t *testing.T) {
	t.Parallel()
	box := func(text string) string { return `<w:txbxContent>` + docxP("", text) + `</w:txbxContent>` }
	cell := func(text string) string { return `<w:tc><w:tcPr/>` + text + `</w:tc>` }
	for name, c := range map[string]struct {
		body string
		want []domain.Block
	}{
		"runs are joined": {`<w:p><w:r><w:t>Про</w:t></w:r><w:r><w:t xml:space="preserve">дажа </w:t></w:r></w:p>`, []domain.Block{docxParagraph("Продажа")}},
		"tabs and breaks are spaces": {
			`<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:cr/><w:t>d</w:t></w:r></w:p>`,
			[]domain.Block{docxParagraph("a b c d")},
		},
		"a link's text is kept": {
			`<w:p><w:r><w:t xml:space="preserve">see </w:t></w:r><w:hyperlink><w:r><w:t>the price</w:t></w:r></w:hyperlink></w:p>`,
			[]domain.Block{docxParagraph("see the price")},
		},
		"insertions stay and deletions go": {
			`<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText><w:t>older</w:t></w:r></w:del></w:p>`,
			[]domain.Block{docxParagraph("new")},
		},
		"a field's code goes and its result stays": {
			`<w:p><w:r><w:instrText>REF x</w:instrText></w:r><w:r><w:t>result</w:t></w:r></w:p>`,
			[]domain.Block{docxParagraph("result")},
		},
		"a text box comes once, after its paragraph": {
			`<w:p><w:r><w:t>before</w:t></w:r><w:r><mc:AlternateContent><mc:Choice>` + box("boxed") +
				`</mc:Choice><mc:Fallback>` + box("boxed") + `</mc:Fallback></mc:AlternateContent></w:r><w:r><w:t>, after</w:t></w:r></w:p>`,
			[]domain.Block{docxParagraph("before, after"), docxParagraph("boxed")},
		},
		"content controls are read through": {
			`<w:sdt><w:sdtPr><w:t>no</w:t></w:sdtPr><w:sdtContent>` + docxP("", "yes") + `</w:sdtContent></w:sdt>`,
			[]domain.Block{docxParagraph("yes")},
		},
		"numbered paragraphs are items": {
			`<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="7"/></w:numPr></w:pPr><w:r><w:t>one</w:t></w:r></w:p>`,
			[]domain.Block{docxItem("one")},
		},
		"number 0 takes a paragraph out of its style's list": {
			`<w:p><w:pPr><w:pStyle w:val="ListBullet"/><w:numPr><w:numId w:val="0"/></w:numPr></w:pPr><w:r><w:t>one</w:t></w:r></w:p>`,
			[]domain.Block{docxParagraph("one")},
		},
		"rows join their cells": {
			`<w:tbl><w:tblPr/><w:tr><w:trPr/>` + cell(docxP("", "a")) + cell(`<w:p/>`) + cell(docxP("", "b")+docxP("", "c")) + `</w:tr><w:tr>` +
				cell(`<w:p/>`) + cell(`<w:p/>`) + `</w:tr></w:tbl>`,
			[]domain.Block{docxRow("a | | b c")},
		},
		"a frame of one cell keeps its blocks": {
			`<w:tbl><w:tr>` + cell(docxP("Heading2", "Rule")+docxP("", "Listen.")) + `</w:tr></w:tbl>`,
			[]domain.Block{docxHeading(2, "Rule"), docxParagraph("Listen.")},
		},
		"a table in a cell is the cell's text": {
			`<w:tbl><w:tr>` + cell(docxP("", "a")) + cell(`<w:tbl><w:tr>`+cell(docxP("", "b"))+cell(docxP("", "c"))+`</w:tr></w:tbl>`+`<w:p/>`) + `</w:tr></w:tbl>`,
			[]domain.Block{docxRow("a | b | c")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := extractDOCX(t, textextract.Options{}, docx(t, c.body))
			require.NoError(t, err)
			assert.Equal(t, c.want, text.Blocks)
		})
	}
}

func TestDOCXStylesAreToldByName(t *testing.T) {
	t.Parallel()
	based := func(id string) string { return `<w:basedOn w:val="` + id + `"/>` }
	level := func(n int) string {
		return `<w:pPr><w:outlineLvl w:val="` + strconv.Itoa(n) + `"/></w:pPr>`
	}
	styles := `<w:styles xmlns:w="w">` +
		docxStyle("1", "heading 1", "") + docxStyle("2", "Heading 2", "") + docxStyle("a0", "Заголовок 3", "") +
		docxStyle("mine", "Lesson", based("2")) + docxStyle("deep", "Deep", level(4)) + docxStyle("plain", "Plain", based("1")+level(9)) +
		docxStyle("ring", "Ring", based("gnir")) + docxStyle("gnir", "Gnir", based("ring")) +
		docxStyle("a", "Title", "") + docxStyle("b", "List Bullet", "") + docxStyle("b2", "Mine too", based("b")) +
		docxStyle("n", "Steps", `<w:pPr><w:numPr><w:numId w:val="3"/></w:numPr></w:pPr>`) + docxStyle("11", "toc 1", "") +
		`<w:style w:type="character" w:styleId="c"><w:name w:val="heading 1"/></w:style></w:styles>`
	for style, want := range map[string]domain.Block{
		"1": docxHeading(1, "text"), "2": docxHeading(2, "text"), "a0": docxHeading(3, "text"), "mine": docxHeading(2, "text"), "deep": docxHeading(5, "text"),
		"plain": docxParagraph("text"), "ring": docxParagraph("text"), "c": docxParagraph("text"), "Heading4": docxHeading(4, "text"),
		"b": docxItem("text"), "b2": docxItem("text"), "n": docxItem("text"), "ListNumber": docxItem("text"),
	} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			text, err := extractDOCX(t, textextract.Options{}, docx(t, docxP("a", "The title")+docxP("11", "Contents 1")+docxP(style, "text"), "word/styles.xml", styles))
			require.NoError(t, err)
			assert.Equal(t, "The title", text.Title)
			assert.Equal(t, []domain.Block{want}, text.Blocks)
		})
	}
}

func TestDOCXPartsAreFoundByTheirTypes(t *testing.T) {
	t.Parallel()
	override := func(part, kind string) string {
		return `<Override PartName="/` + part + `" ContentType="application/vnd.openxmlformats-` + kind + `+xml"/>`
	}
	content := packParts(t, archiveParts{
		"[Content_Types].xml", `<Types>` + override("word/glossary/styles.xml", "officedocument.wordprocessingml.styles") +
			override("Word/Document2.xml", "officedocument.wordprocessingml.document.main") +
			override("word/styles2.xml", "officedocument.wordprocessingml.styles") + override("props.xml", "package.core-properties") + `</Types>`,
		"word/document2.xml", docxDocument(docxP("x", "Goals") + docxP("", "Words.") + docxP("x", "Means")),
		"word/styles2.xml", `<w:styles xmlns:w="w">` + docxStyle("x", "heading 2", "") + `</w:styles>`,
		"word/glossary/styles.xml", `<w:styles xmlns:w="w">` + docxStyle("x", "List", "") + `</w:styles>`,
		"props.xml", `<p xmlns:dc="dc"><dc:title>A course</dc:title></p>`,
	})
	text, err := extractDOCX(t, textextract.Options{}, content)
	require.NoError(t, err)
	assert.Equal(t, domain.Text{Title: "A course", Blocks: []domain.Block{docxHeading(2, "Goals"), docxParagraph("Words."), docxHeading(2, "Means")}}, text)
}

func TestDOCXThatCannotBeReadSaysWhy(t *testing.T) {
	t.Parallel()
	const ole = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	bomb := docxP("", "x") + strings.Repeat("<w:p/>", 1<<19)
	good := docx(t, docxP("", "words"))
	for name, c := range map[string]struct {
		content []byte
		options textextract.Options
		reason  domain.Reason
		says    string
	}{
		"older Word":     {[]byte(ole + "rest"), textextract.Options{}, domain.ReasonDocumentUnreadable, "save it as .docx"},
		"a password":     {[]byte(ole + "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00"), textextract.Options{}, domain.ReasonDocumentEncrypted, "remove the password"},
		"locked entries": {lockedArchive(t), textextract.Options{}, domain.ReasonDocumentEncrypted, "remove the password"},
		"a torn file":    {good[:len(good)/2], textextract.Options{}, domain.ReasonDocumentUnreadable, "damaged"},
		"no text part":   {packParts(t, archiveParts{"ppt/presentation.xml", "<p/>"}), textextract.Options{}, domain.ReasonDocumentUnreadable, "not a Word document"},
		"no text":        {docx(t, "<w:p/>"), textextract.Options{}, domain.ReasonDocumentUnreadable, "no text"},
		"broken XML":     {docx(t, "<w:p>"), textextract.Options{}, domain.ReasonDocumentUnreadable, "damaged"},
		"a broken sum":   {brokenSum(t), textextract.Options{}, domain.ReasonDocumentUnreadable, "damaged"},
		"deep nesting":   {docx(t, strings.Repeat("<a>", 1000)+strings.Repeat("</a>", 1000)), textextract.Options{}, domain.ReasonDocumentUnreadable, "damaged"},
		"a huge tag": {
			docx(t, "<a"+strings.Repeat(` a=""`, 1<<20)+"/>"),
			textextract.Options{MaxRatio: 1e6},
			domain.ReasonDocumentUnreadable, "damaged",
		},
		"a zip bomb": {docx(t, bomb), textextract.Options{}, domain.ReasonDocumentUnreadable, "times its size"},
		"a zip bomb past the total": {
			docx(t, bomb),
			textextract.Options{MaxRatio: 1e6, MaxUnpackedBytes: 1 << 20},
			domain.ReasonDocumentUnreadable, "more than 1 MiB",
		},
		"a zip bomb that lies about its size": {lyingArchive(t, docxDocument(bomb)), textextract.Options{}, domain.ReasonDocumentUnreadable, "damaged"},
		"too many files":                      {docx(t, docxP("", "x"), "a", "", "b", ""), textextract.Options{MaxEntries: 2}, domain.ReasonDocumentUnreadable, "3 files"},
		"too much text":                       {docx(t, docxP("", "12345678901")), textextract.Options{MaxTextBytes: 10}, domain.ReasonDocumentTooLarge, ""},
		"too many empty paragraphs": {
			docx(t, strings.Repeat("<w:p/>", 1_000_001)),
			textextract.Options{MaxRatio: 1e6},
			domain.ReasonDocumentTooLarge, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := extractDOCX(t, c.options, c.content)
			require.ErrorIs(t, err, &domain.Error{Reason: c.reason})
			assert.ErrorContains(t, err, c.says)
		})
	}
}

func TestDOCXReadingStopsWithItsContext(t *testing.T) {
	t.Parallel()
	e := textextract.New(textextract.Options{})
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.Extract(ctx, domain.FormatDOCX, docx(t, docxP("", "x")))
	require.ErrorIs(t, err, context.Canceled)
}

// rawPart packs word/document.xml with a header changed after it was compressed.
func rawPart(t *testing.T, content string, change func(*zip.FileHeader)) []byte {
	t.Helper()
	inner := packParts(t, archiveParts{"x", content})
	r, err := zip.NewReader(bytes.NewReader(inner), int64(len(inner)))
	require.NoError(t, err)
	source, err := r.File[0].OpenRaw()
	require.NoError(t, err)
	header := r.File[0].FileHeader
	header.Name = "word/document.xml"
	change(&header)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.CreateRaw(&header)
	require.NoError(t, err)
	_, err = io.Copy(f, source)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func lockedArchive(t *testing.T) []byte {
	t.Helper()
	return rawPart(t, "secret", func(h *zip.FileHeader) { h.Flags |= 1 })
}

func lyingArchive(t *testing.T, content string) []byte {
	t.Helper()
	return rawPart(t, content, func(h *zip.FileHeader) { h.UncompressedSize64 = 1000 })
}

func brokenSum(t *testing.T) []byte {
	t.Helper()
	return rawPart(t, docxDocument(docxP("", "x")), func(h *zip.FileHeader) { h.CRC32++ })
}

func FuzzDOCX(f *testing.F) {
	seeds := []string{
		docxP("Title", "a"), `<w:tbl><w:tr><w:tc>` + docxP("Heading1", "a") + `</w:tc><w:tc/></w:tr></w:tbl>` + docxP("ListBullet", "b"),
	}
	fuzzPacked(f, domain.FormatDOCX, "testdata/handbook.docx", seeds, func(tb testing.TB, part string) []byte { tb.Helper(); return docx(tb, part) })
}
