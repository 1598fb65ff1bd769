package textextract_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lectern/adapters/textextract"
	"lectern/domain"
)

func block(kind domain.BlockKind, level, page int, text string) domain.Block {
	return domain.Block{Kind: kind, Level: level, Page: page, Text: text}
}

func checkPDF(t *testing.T, content []byte, title string, want ...domain.Block) {
	t.Helper()
	text, err := newExtractor(t, textextract.Options{}).Extract(t.Context(), domain.FormatPDF, content)
	if err != nil {
		t.Fatal(err)
	}
	if text.Title != title {
		t.Errorf("title %q, want %q", text.Title, title)
	}
	if !slices.Equal(text.Blocks, want) {
		t.Errorf("got\n%s\nwant\n%s", listBlocks(text.Blocks), listBlocks(want))
	}
}

func listBlocks(blocks []domain.Block) string {
	var b strings.Builder
	for _, block := range blocks {
		fmt.Fprintf(&b, "p%d %s %d %q\n", block.Page, block.Kind, block.Level, block.Text)
	}
	return b.String()
}

func TestLinesOfAPDFBecomeParagraphs(t *testing.T) {
	var page drawing
	y := page.lines(50, 500,
		"A buyer who has read the whole offer asks better questions and nego-",
		"tiates with more patience than one who has only heard of it, says the",
		"well-known guide; the twenty-",
		"One rule is its own.")
	y = page.lines(62, y, "A first line set in by an em begins a paragraph of its own, as it does in")
	y = page.lines(50, y, "most books, and the lines after it go on where the margin is.")
	y = page.lines(50, y-10, "A gap does as well, so this line, which is as long as those above, is one.")
	page.lines(50, y-10, "Here the last word of a line is well-", "known to the document, hyphen included, so that it keeps the hyphen too.")
	checkPDF(t, makePDF([]*drawing{&page}, ""), "",
		block(domain.BlockParagraph, 0, 1, "A buyer who has read the whole offer asks better questions and negotiates with more patience than one who has only "+
			"heard of it, says the well-known guide; the twenty-One rule is its own."),
		block(domain.BlockParagraph, 0, 1, "A first line set in by an em begins a paragraph of its own, as it does in most books, and the lines after it go on where the margin is."),
		block(domain.BlockParagraph, 0, 1, "A gap does as well, so this line, which is as long as those above, is one."),
		block(domain.BlockParagraph, 0, 1, "Here the last word of a line is well-known to the document, hyphen included, so that it keeps the hyphen too."),
	)
}

// russian.pdf has a running header and page numbers, words broken by hyphens,
// some of which belong to the words, a paragraph that goes on over a page, a
// line that begins with a dash, and "Microsoft Word - ..." for a title.
func TestARussianPDFReadsAsItsAuthorWroteIt(t *testing.T) {
	checkPDF(t, readFile(t, "testdata/russian.pdf"), "Искусство переговоров",
		block(domain.BlockHeading, 1, 1, "Искусство переговоров"),
		block(domain.BlockParagraph, 0, 1, "Переговоры начинаются задолго до встречи: подготовка определяет, какие вопросы зададут, "+
			"и сотрудничество с заказчиком строится по-русски: кто-то говорит, кто-то слушает, а онлайн-школа и IT-отдел учатся вместе с преподавателем."),
		block(domain.BlockHeading, 2, 2, "Подготовка"),
		block(domain.BlockParagraph, 0, 2, "«Что важно?» — спрашивает консультант и молчит, пока — как ни трудно — собеседник не ответит сам."),
		block(domain.BlockHeading, 2, 3, "Завершение"),
		block(domain.BlockParagraph, 0, 3, "Йод, ёж и подъём: буквы со знаками целы."),
	)
}

func TestRunningLinesAreLeftOutAndParagraphsGoOnOverPages(t *testing.T) {
	var pages []*drawing
	for n := 1; n <= 4; n++ {
		var page drawing
		page.at(50, 570, regular, 8, "The guide to selling")
		page.at(300, 570, regular, 8, fmt.Sprintf("On subject %c", 'A'+n))
		page.at(180, 30, regular, 8, fmt.Sprintf("Page %d of 4", n))
		page.at(50, 530, bold, 16, fmt.Sprintf("Chapter %d", n))
		page.lines(50, 500,
			fmt.Sprintf("Chapter number %d begins with a line that fills the measure of its page,", n),
			fmt.Sprintf("and line %d, the last, breaks off in the middle of a sentence before a", n*n))
		pages = append(pages, &page)
	}
	var last drawing
	last.at(50, 570, regular, 8, "The guide to selling")
	last.lines(50, 530, "page, to go on here.")
	last.at(190, 30, regular, 8, "Page 5 of 4")
	content := makePDF(append(pages, &last), "")
	var want []domain.Block
	for n := 1; n <= 4; n++ {
		text := fmt.Sprintf("Chapter number %d begins with a line that fills the measure of its page, "+
			"and line %d, the last, breaks off in the middle of a sentence before a", n, n*n)
		if n == 4 {
			text += " page, to go on here."
		}
		want = append(want, block(domain.BlockHeading, 1, n, fmt.Sprintf("Chapter %d", n)), block(domain.BlockParagraph, 0, n, text))
	}
	checkPDF(t, content, "", want...)
}

func TestHeadingsOfAPDFAreToldByTheirLooks(t *testing.T) {
	var page drawing
	page.at(50, 560, bold, 20, "The title of the guide")
	page.at(50, 530, bold, 14, "A section whose heading takes")
	page.at(50, 513, bold, 14, "a second line")
	y := page.lines(50, 490, "Prose under the section, which is long enough to fill the line it is on,", "and another line.")
	page.at(50, y-8, bold, 10, "A subsection in bold")
	y = page.lines(50, y-24, "Prose under the subsection, long enough to be most of what there is here,",
		"so that its type is the body's. More of it follows to make sure of that.")
	page.at(50, y-8, bold, 10, "Bold prose that ends like a sentence is none.")
	page.at(50, y-30, regular, 14, "A larger line is one")
	page.lines(50, y-50, "The end.")
	checkPDF(t, makePDF([]*drawing{&page}, ""), "The title of the guide",
		block(domain.BlockHeading, 1, 1, "The title of the guide"),
		block(domain.BlockHeading, 2, 1, "A section whose heading takes a second line"),
		block(domain.BlockParagraph, 0, 1, "Prose under the section, which is long enough to fill the line it is on, and another line."),
		block(domain.BlockHeading, 4, 1, "A subsection in bold"),
		block(domain.BlockParagraph, 0, 1, "Prose under the subsection, long enough to be most of what there is here, "+
			"so that its type is the body’s. More of it follows to make sure of that."),
		block(domain.BlockParagraph, 0, 1, "Bold prose that ends like a sentence is none."),
		block(domain.BlockHeading, 3, 1, "A larger line is one"),
		block(domain.BlockParagraph, 0, 1, "The end."),
	)
}

// outlined is a page with a title, and two headings that look the same but
// stand at different depths of an outline, which begins with object 5.
func outlined(items ...string) []byte {
	var page drawing
	page.at(50, 560, bold, 20, "The title")
	page.at(50, 530, bold, 14, "First part")
	page.lines(50, 510, "Prose under the first part, which is long enough to fill the line it is on.")
	page.at(50, 480, bold, 14, "Its detail")
	page.lines(50, 460, "Prose under the detail, which is long enough to fill the line that it is on.")
	return makePDF([]*drawing{&page}, "/Outlines 5 0 R", items...)
}

func outlinedBlocks(top, part, detail int) []domain.Block {
	blocks := []domain.Block{
		block(domain.BlockHeading, part, 1, "First part"),
		block(domain.BlockParagraph, 0, 1, "Prose under the first part, which is long enough to fill the line it is on."),
		block(domain.BlockHeading, detail, 1, "Its detail"),
		block(domain.BlockParagraph, 0, 1, "Prose under the detail, which is long enough to fill the line that it is on."),
	}
	if top > 0 {
		blocks = append([]domain.Block{block(domain.BlockHeading, top, 1, "The title")}, blocks...)
	}
	return blocks
}

func TestAnOutlineDecidesTheLevels(t *testing.T) {
	content := outlined(
		"<< /First 6 0 R /Last 6 0 R /Count 1 >>",
		"<< /Title (First  PART) /Parent 5 0 R /First 7 0 R /Last 7 0 R /Count 1 >>",
		"<< /Title (Its detail) /Parent 6 0 R >>")
	checkPDF(t, content, "The title", outlinedBlocks(0, 1, 2)...)
}

func TestAnOutlineAboutSomethingElseIsIgnored(t *testing.T) {
	content := outlined("<< /First 6 0 R /Last 6 0 R /Count 1 >>", "<< /Title (Scan 0001) /Parent 5 0 R >>")
	checkPDF(t, content, "The title", outlinedBlocks(1, 2, 2)...)
}

func TestAnOutlineThatContainsItselfEnds(t *testing.T) {
	for name, item := range map[string]string{
		"as its child":   "<< /Title (x) /Parent 5 0 R /First 6 0 R /Last 6 0 R >>",
		"as its sibling": "<< /Title (x) /Parent 5 0 R /Next 6 0 R >>",
		"as both":        "<< /Title (x) /Parent 5 0 R /First 6 0 R /Last 6 0 R /Next 6 0 R >>",
	} {
		t.Run(name, func(t *testing.T) {
			checkPDF(t, outlined("<< /First 6 0 R /Last 6 0 R >>", item), "The title", outlinedBlocks(1, 2, 2)...)
		})
	}
}

func TestATableInAPDFGivesItsRows(t *testing.T) {
	var page drawing
	y := page.lines(50, 500, "A table follows whose cells have several lines and are drawn one by one:")
	page.at(56, y-10, bold, 10, "Role")
	page.at(156, y-10, bold, 10, "Wants")
	page.at(316, y-10, bold, 10, "Share")
	page.lines(56, y-28, "Sponsor,", "HR")
	page.lines(156, y-28, "a visible result with-", "in the term")
	page.lines(316, y-28, "12 %")
	page.lines(56, y-60, "Teacher")
	page.lines(156, y-60, "fewer wasted hours")
	page.lines(316, y-60, "7 %")
	page.lines(50, y-90, "And prose again, which begins left of the table and runs across all of it.")
	checkPDF(t, makePDF([]*drawing{&page}, ""), "",
		block(domain.BlockParagraph, 0, 1, "A table follows whose cells have several lines and are drawn one by one:"),
		block(domain.BlockTableRow, 0, 1, "Role | Wants | Share"),
		block(domain.BlockTableRow, 0, 1, "Sponsor, HR | a visible result within the term | 12 %"),
		block(domain.BlockTableRow, 0, 1, "Teacher | fewer wasted hours | 7 %"),
		block(domain.BlockParagraph, 0, 1, "And prose again, which begins left of the table and runs across all of it."),
	)
}

func TestColumnsAreReadOneAfterTheOther(t *testing.T) {
	var page drawing
	page.lines(50, 500, "The left column is read", "first, down to its end and", "goes on")
	page.lines(220, 500, "at the head of the right", "column.")
	checkPDF(t, makePDF([]*drawing{&page}, ""), "",
		block(domain.BlockParagraph, 0, 1, "The left column is read first, down to its end and goes on at the head of the right column."))
}

func TestAPageOnItsSideIsReadAndWhatCrossesAPageIsNot(t *testing.T) {
	var sideways, stamped drawing
	for i, line := range []string{"A page that was laid on its side,", "as wide tables are."} {
		sideways.turned("0 1 -1 0", 100+float64(i)*12, 100, regular, 10, line)
	}
	stamped.turned("0.7 0.7 -0.7 0.7", 100, 200, bold, 60, "DRAFT")
	stamped.lines(50, 500, "A page that was stamped.")
	checkPDF(t, makePDF([]*drawing{&sideways, &stamped}, ""), "",
		block(domain.BlockParagraph, 0, 1, "A page that was laid on its side, as wide tables are."),
		block(domain.BlockParagraph, 0, 2, "A page that was stamped."))
}

func TestAPDFPastTheLimitsIsUnreadable(t *testing.T) {
	var page drawing
	page.lines(50, 500, "Words.")
	content := makePDF([]*drawing{&page, &page, &page}, "")
	e := newExtractor(t, textextract.Options{MaxPages: 2})
	_, err := e.Inspect(t.Context(), "a.pdf", content)
	if domain.ReasonOf(err) != domain.ReasonDocumentUnreadable || !strings.Contains(err.Error(), "3 pages") {
		t.Errorf("more pages: %v", err)
	}
	var crowded drawing
	for i := range 4000 {
		crowded.at(50, 500-float64(i)/10, regular, 1, strings.Repeat(fmt.Sprint(i, " "), 12))
	}
	_, err = newExtractor(t, textextract.Options{}).Extract(t.Context(), domain.FormatPDF, makePDF([]*drawing{&crowded}, ""))
	if domain.ReasonOf(err) != domain.ReasonDocumentUnreadable {
		t.Errorf("a crowded page: %v", err)
	}
}
