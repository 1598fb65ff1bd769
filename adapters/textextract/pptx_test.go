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

const (
	pptxSpaces = ` xmlns:p="p" xmlns:a="a" xmlns:r="r" xmlns:mc="mc" xmlns:dgm="dgm"`
	relations  = `<Relationships>%s</Relationships>`
)

// pptx packs slides, given by what their trees of shapes hold, with further parts.
func pptx(tb testing.TB, slides []string, more ...string) []byte {
	tb.Helper()
	var ids, rels strings.Builder
	parts := archiveParts{}
	for i, slide := range slides {
		fmt.Fprintf(&ids, `<p:sldId id="%d" r:id="r%d"/>`, 256+i, i)
		rels.WriteString(pptxRelation(fmt.Sprintf("r%d", i), "slide", fmt.Sprintf("slides/slide%d.xml", i+1)))
		parts = append(parts, fmt.Sprintf("ppt/slides/slide%d.xml", i+1),
			`<p:sld`+pptxSpaces+`><p:cSld><p:spTree>`+slide+`</p:spTree></p:cSld></p:sld>`)
	}
	parts = append(parts, "ppt/presentation.xml", `<p:presentation`+pptxSpaces+`><p:sldIdLst>`+ids.String()+`</p:sldIdLst></p:presentation>`,
		"ppt/_rels/presentation.xml.rels", fmt.Sprintf(relations, rels.String()))
	return packParts(tb, append(parts, more...))
}

func pptxRelation(id, kind, target string) string {
	return `<Relationship Id="` + id + `" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/` + kind + `" Target="` + target + `"/>`
}

// shape makes a shape with a placeholder's attributes, unless these are "".
func shape(holder string, paragraphs ...string) string {
	if holder != "" {
		holder = `<p:ph ` + holder + `/>`
	}
	return `<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"/><p:nvPr>` + holder + `</p:nvPr></p:nvSpPr><p:txBody><a:bodyPr/>` +
		strings.Join(paragraphs, "") + `</p:txBody></p:sp>`
}

func line(properties, text string) string {
	return `<a:p>` + properties + `<a:r><a:rPr><a:t>no</a:t></a:rPr><a:t>` + text + `</a:t></a:r></a:p>`
}

func extract(tb testing.TB, format domain.Format, o textextract.Options, content []byte) (domain.Text, error) {
	tb.Helper()
	return newExtractor(tb, o).Extract(tb.Context(), format, content)
}

func TestASlideBecomesBlocks(t *testing.T) {
	t.Parallel()
	body := `idx="1"`
	cell := func(attributes, text string) string {
		return `<a:tc ` + attributes + `><a:txBody>` + line("", text) + `</a:txBody></a:tc>`
	}
	for name, c := range map[string]struct {
		slide string
		want  []domain.Block
	}{
		"the title comes first wherever it stands": {
			shape("", line("", "b")) + shape(`type="title"`, line("", "A"), line("", "title")),
			[]domain.Block{block(domain.BlockHeading, 1, 1, "A title"), block(domain.BlockParagraph, 0, 1, "b")},
		},
		"bullets have their levels": {
			shape(body, line("", "a"), line(`<a:pPr lvl="1"/>`, "b"), line(`<a:pPr lvl="7"/>`, "c"), line(`<a:pPr lvl="99"/>`, "d")),
			[]domain.Block{
				block(domain.BlockListItem, 0, 1, "a"), block(domain.BlockListItem, 1, 1, "b"), block(domain.BlockListItem, 7, 1, "c"),
				block(domain.BlockListItem, 0, 1, "d"),
			},
		},
		"a paragraph says that it has no bullet": {
			shape(body, line(`<a:pPr><a:buNone/></a:pPr>`, "a")), []domain.Block{block(domain.BlockParagraph, 0, 1, "a")},
		},
		"a shape says that it has none": {
			shape(body, `<a:lstStyle><a:lvl1pPr><a:buNone/></a:lvl1pPr></a:lstStyle>`, line("", "a"), line(`<a:pPr lvl="1"/>`, "b")),
			[]domain.Block{block(domain.BlockParagraph, 0, 1, "a"), block(domain.BlockListItem, 1, 1, "b")},
		},
		"a box has none unless it says so": {
			shape("", line("", "a"), line(`<a:pPr><a:buAutoNum type="arabicPeriod"/></a:pPr>`, "b"), line(`<a:pPr><a:buChar char="x"/></a:pPr>`, "c")),
			[]domain.Block{block(domain.BlockParagraph, 0, 1, "a"), block(domain.BlockListItem, 0, 1, "b"), block(domain.BlockListItem, 0, 1, "c")},
		},
		"what every slide repeats is left out": {
			shape(`type="dt"`, line("", "x")) + shape(`type="ftr"`, line("", "x")) + shape(`type="sldNum"`, line("", "x")) + shape("", line("", "a"),
				`<a:p><a:fld type="slidenum"><a:t>7</a:t></a:fld><a:fld type="datetime1"><a:t>1.1.</a:t></a:fld><a:fld type="x"><a:t>b</a:t></a:fld></a:p>`),
			[]domain.Block{block(domain.BlockParagraph, 0, 1, "a"), block(domain.BlockParagraph, 0, 1, "b")},
		},
		"what is hidden is left out": {
			strings.Replace(shape("", line("", "x")), "<p:cNvPr", `<p:cNvPr hidden="1"`, 1) + shape("", line("", "a")),
			[]domain.Block{block(domain.BlockParagraph, 0, 1, "a")},
		},
		"breaks are spaces, and links keep their text": {
			shape("", `<a:p><a:r><a:t>a</a:t></a:r><a:br/><a:r><a:rPr><a:hlinkClick r:id="x"/></a:rPr><a:t>b</a:t></a:r></a:p>`),
			[]domain.Block{block(domain.BlockParagraph, 0, 1, "a b")},
		},
		"groups are read through, the older rendering is not": {
			`<p:grpSp><p:grpSpPr/><mc:AlternateContent><mc:Choice>` + shape("", line("", "a")) + `</mc:Choice><mc:Fallback>` +
				shape("", line("", "a")) + `</mc:Fallback></mc:AlternateContent></p:grpSp>`,
			[]domain.Block{block(domain.BlockParagraph, 0, 1, "a")},
		},
		"tables keep the place of empty cells": {
			`<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tblPr/><a:tr>` + cell("", "a") + cell("", "") + cell("", "c") +
				`</a:tr><a:tr>` + cell(`gridSpan="2"`, "d") + cell(`hMerge="1"`, "") + cell("", "e") + `</a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>`,
			[]domain.Block{block(domain.BlockTableRow, 0, 1, "a | | c"), block(domain.BlockTableRow, 0, 1, "d | e")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := extract(t, domain.FormatPPTX, textextract.Options{}, pptx(t, []string{c.slide}))
			require.NoError(t, err)
			assert.Equal(t, c.want, text.Blocks)
		})
	}
}

func TestASlideTakesItsBulletsFromItsLayoutAndMaster(t *testing.T) {
	t.Parallel()
	none := func(level int) string { return fmt.Sprintf(`<a:lvl%dpPr><a:buNone/></a:lvl%dpPr>`, level, level) }
	content := pptx(t, []string{shape(`type="body" idx="4"`, line("", "a"), line(`<a:pPr lvl="1"/>`, "b"), line(`<a:pPr lvl="2"/>`, "c"))},
		"ppt/slides/_rels/slide1.xml.rels", fmt.Sprintf(relations, pptxRelation("a", "slideLayout", "/ppt/slideLayouts/one.xml")),
		"ppt/slideLayouts/one.xml", `<p:sldLayout`+pptxSpaces+`><p:cSld><p:spTree>`+
			shape(`type="body" idx="4"`, `<a:lstStyle>`+none(1)+`</a:lstStyle>`)+`</p:spTree></p:cSld></p:sldLayout>`,
		"ppt/slideLayouts/_rels/one.xml.rels", fmt.Sprintf(relations, pptxRelation("m", "slideMaster", "../slideMasters/m.xml")),
		"ppt/slideMasters/m.xml", `<p:sldMaster`+pptxSpaces+`><p:txStyles><p:bodyStyle>`+none(3)+`</p:bodyStyle></p:txStyles></p:sldMaster>`)
	text, err := extract(t, domain.FormatPPTX, textextract.Options{}, content)
	require.NoError(t, err)
	require.Equal(t, []domain.Block{
		block(domain.BlockParagraph, 0, 1, "a"), block(domain.BlockListItem, 1, 1, "b"), block(domain.BlockParagraph, 0, 1, "c"),
	}, text.Blocks)
}

func TestADiagramsBoxesAreItems(t *testing.T) {
	t.Parallel()
	box := func(kind, text string) string {
		return `<dgm:pt` + kind + `><dgm:t>` + line("", text) + `</dgm:t></dgm:pt>`
	}
	content := pptx(t, []string{`<p:graphicFrame><a:graphic><a:graphicData><dgm:relIds r:dm="d"/></a:graphicData></a:graphic></p:graphicFrame>`},
		"ppt/slides/_rels/slide1.xml.rels", fmt.Sprintf(relations, pptxRelation("d", "diagramData", "../diagrams/data1.xml")),
		"ppt/diagrams/data1.xml", `<dgm:dataModel`+pptxSpaces+`><dgm:ptLst>`+box(` type="doc"`, "x")+box("", "Plan")+box(` type="node"`, "Do")+
			box(` type="pres"`, "x")+`</dgm:ptLst></dgm:dataModel>`)
	text, err := extract(t, domain.FormatPPTX, textextract.Options{}, content)
	require.NoError(t, err)
	require.Equal(t, []domain.Block{block(domain.BlockListItem, 0, 1, "Plan"), block(domain.BlockListItem, 0, 1, "Do")}, text.Blocks)
}

func TestSpeakersNotesAreReadOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	content := readFile(t, "testdata/objections.pptx")
	const note = "Tell the story of the school that came back."
	for _, asked := range []bool{true, false} {
		text, err := extract(t, domain.FormatPPTX, textextract.Options{SpeakerNotes: asked}, content)
		require.NoError(t, err)
		if asked {
			require.Contains(t, text.Blocks, block(domain.BlockParagraph, 0, 3, note))
		} else {
			require.NotContains(t, printed(text), note)
		}
	}
}
