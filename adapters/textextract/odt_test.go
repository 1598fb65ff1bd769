package textextract_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lectern/adapters/textextract"
	"lectern/domain"
)

const odtSpaces = ` xmlns:office="office" xmlns:text="text" xmlns:table="table" xmlns:draw="draw" xmlns:style="style"` +
	` xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"`

// odt packs a document of a body, with automatic styles and further parts.
func odt(tb testing.TB, automatic, body string, more ...string) []byte {
	tb.Helper()
	return packParts(tb, append(archiveParts{
		"mimetype", "application/vnd.oasis.opendocument.text",
		"content.xml", `<office:document-content` + odtSpaces + `><office:automatic-styles>` + automatic + `</office:automatic-styles><office:body><office:text>` +
			body + `</office:text></office:body></office:document-content>`,
	}, more...))
}

func odtItem(content string) string { return `<text:list-item>` + content + `</text:list-item>` }

func docxItemIn(level int, text string) domain.Block {
	return domain.Block{Kind: domain.BlockListItem, Level: level, Text: text}
}

func TestAnODTBecomesBlocks(t *testing.T) {
	t.Parallel()
	cell := func(text string) string { return `<table:table-cell>` + text + `</table:table-cell>` }
	for name, c := range map[string]struct {
		body string
		want []domain.Block
	}{
		"headings have their levels": {
			`<text:h text:outline-level="2">a</text:h><text:h>b</text:h><text:h text:outline-level="-4">c</text:h>`,
			[]domain.Block{docxHeading(2, "a"), docxHeading(1, "b"), docxHeading(1, "c")},
		},
		"spaces, tabs and breaks are spaces": {
			`<text:p>a<text:s text:c="9"/>b<text:tab/>c<text:line-break/>d<text:soft-page-break/>e</text:p>`, []domain.Block{docxParagraph("a b c de")},
		},
		"links and fields keep their text": {
			`<text:p>see <text:a>the <text:span>price</text:span></text:a> in <text:title>Prices</text:title></text:p>`,
			[]domain.Block{docxParagraph("see the price in Prices")},
		},
		"notes, comments, captions of pictures and furigana go": {
			`<text:p>a<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>x</text:p></text:note-body></text:note>` +
				`<office:annotation><text:p>x</text:p></office:annotation><draw:frame><draw:image/><svg:title>x</svg:title><svg:desc>x</svg:desc></draw:frame>` +
				`<text:ruby><text:ruby-base>b</text:ruby-base><text:ruby-text>x</text:ruby-text></text:ruby></text:p>`,
			[]domain.Block{docxParagraph("ab")},
		},
		"deletions, indexes and hidden sections go": {
			`<text:tracked-changes><text:changed-region><text:deletion><text:p>x</text:p></text:deletion></text:changed-region></text:tracked-changes>` +
				`<text:alphabetical-index><text:index-body><text:p>x</text:p></text:index-body></text:alphabetical-index>` +
				`<text:section text:display="none"><text:p>x</text:p></text:section><text:section><text:p>a</text:p></text:section>`,
			[]domain.Block{docxParagraph("a")},
		},
		"a list's items have their levels, and their further paragraphs are none": {
			`<text:list>` + odtItem(`<text:p>a</text:p><text:p>b</text:p><text:list>`+odtItem(`<text:p>c</text:p>`)+`</text:list><text:p>d</text:p>`) +
				odtItem(`<text:h text:outline-level="1">e</text:h><text:p>f</text:p>`) + `</text:list><text:p>g</text:p>`,
			[]domain.Block{
				docxItem("a"), docxParagraph("b"), docxItemIn(1, "c"), docxParagraph("d"), docxHeading(1, "e"), docxParagraph("f"), docxParagraph("g"),
			},
		},
		"a text box comes after its paragraph, as if it stood in no list": {
			`<text:list>` + odtItem(`<text:p>a<draw:frame><draw:text-box><text:p>b</text:p></draw:text-box></draw:frame>, c</text:p>`) + `</text:list>`,
			[]domain.Block{docxItem("a, c"), docxParagraph("b")},
		},
		"tables keep the place of empty and covered cells": {
			`<table:table><table:table-column/><table:table-header-rows><table:table-row>` + cell(`<text:p>a</text:p>`) + `<table:covered-table-cell/>` +
				cell(`<text:p>b</text:p><text:p>c</text:p>`) + `</table:table-row></table:table-header-rows><table:table-row>` + cell(`<text:p/>`) +
				`</table:table-row></table:table>`,
			[]domain.Block{docxRow("a | | b c")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := extract(t, domain.FormatODT, textextract.Options{}, odt(t, "", c.body))
			require.NoError(t, err)
			assert.Equal(t, c.want, text.Blocks)
		})
	}
}

func TestODTStylesAreFollowedToWhatTheyAreBasedOn(t *testing.T) {
	t.Parallel()
	style := func(name, parent, rest string) string {
		return `<style:style style:family="paragraph" style:name="` + name + `" style:parent-style-name="` + parent + `"` + rest + `/>`
	}
	styles := `<office:document-styles` + odtSpaces + `><office:styles>` + style("Lesson", "Heading_20_2", "") +
		style("Outlined", "", ` style:default-outline-level="4"`) + style("Ring", "Gnir", "") + style("Gnir", "Ring", "") + `</office:styles></office:document-styles>`
	automatic := style("P1", "Title", "") + style("P2", "Lesson", "") + style("P3", "Outlined", "") + style("P4", "Ring", "") + style("P5", "Standard", "")
	for name, want := range map[string]domain.Block{
		"P2": docxHeading(2, "text"), "P3": docxHeading(4, "text"), "P4": docxParagraph("text"), "P5": docxParagraph("text"), "unknown": docxParagraph("text"),
		"Heading_20_3": docxHeading(3, "text"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := extract(t, domain.FormatODT, textextract.Options{},
				odt(t, automatic, `<text:p text:style-name="P1">The title</text:p><text:p text:style-name="`+name+`">text</text:p>`, "styles.xml", styles))
			require.NoError(t, err)
			assert.Equal(t, domain.Text{Title: "The title", Blocks: []domain.Block{want}}, text)
		})
	}
}
