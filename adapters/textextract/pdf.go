package textextract

import (
	"context"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/klippa-app/go-pdfium"

	"lectern/domain"
)

// inspectPDF opens the document, to see that it can be and has text.
func (e *Extractor) inspectPDF(ctx context.Context, content []byte) error {
	return e.pdf.use(ctx, func(instance pdfium.Pdfium) error {
		doc, err := openPDF(instance, content, e.opts.MaxPages)
		if err != nil {
			return err
		}
		ok, err := doc.hasText()
		if err == nil && !ok {
			return noTextInPDF()
		}
		return err
	})
}

func noTextInPDF() error {
	return unreadable("this PDF has no text in it, only pictures, as a scan has: run OCR (text recognition) on it first and upload the result")
}

// pdfText is what was read from a PDF before it is put in order.
type pdfText struct {
	title     string
	pages     []pdfPage
	bookmarks map[string][]int
}

func (e *Extractor) extractPDF(ctx context.Context, content []byte) (domain.Text, error) {
	var read pdfText
	err := e.pdf.use(ctx, func(instance pdfium.Pdfium) error {
		doc, err := openPDF(instance, content, e.opts.MaxPages)
		if err != nil {
			return err
		}
		read, err = doc.read(e.opts.MaxTextBytes)
		return err
	})
	if err != nil {
		return domain.Text{}, err
	}
	text := read.arrange()
	if len(text.Blocks) == 0 {
		return domain.Text{}, noTextInPDF()
	}
	return text, nil
}

// read reads every page; limit bounds the bytes of text.
func (d *pdfDocument) read(limit int64) (pdfText, error) {
	t := pdfText{title: d.title(), bookmarks: d.bookmarks()}
	var size int64
	for i := range d.pages {
		chars, height, err := d.readPage(i)
		if err != nil {
			return pdfText{}, err
		}
		for _, c := range chars {
			size += int64(utf8.RuneLen(c.r))
		}
		if size > limit {
			return pdfText{}, tooMuchText(limit)
		}
		t.pages = append(t.pages, pdfPage{number: i + 1, height: height, lines: attachMarks(splitLines(chars, i+1))})
	}
	return t, nil
}

// arrange makes blocks of the lines.
func (t pdfText) arrange() domain.Text {
	body := measure(t.pages)
	dropFurniture(t.pages, body)
	body = measure(t.pages)
	paragraphs := compose(t.pages, body)
	candidates := t.candidates(paragraphs)
	title := setLevels(candidates, styleOf(body.size, body.bold))
	var out blocks
	for i, p := range paragraphs {
		c := candidates[i]
		page := p.first().page
		switch {
		case c.level == titleLevel:
		case c.level > 0:
			out.add(domain.BlockHeading, c.level, page, c.text)
		case p.first().row:
			out.add(domain.BlockTableRow, 0, page, c.text)
		case p.item:
			text, _ := cutMark(c.text)
			out.add(domain.BlockListItem, 0, page, text)
		default:
			out.add(domain.BlockParagraph, 0, page, c.text)
		}
	}
	if title == "" {
		title = out.title(usableTitle(t.title))
	}
	return domain.Text{Title: title, Blocks: out}
}

// candidates makes one of each paragraph.
func (t pdfText) candidates(paragraphs []paragraph) []*candidate {
	h := learnHyphens(lineTexts(t.pages))
	all := make([]*candidate, len(paragraphs))
	for i, p := range paragraphs {
		c := &candidate{text: p.text(h)}
		all[i] = c
		if p.first().row || len(p.lines) > maxHeadingLines {
			continue
		}
		c.style = styleOf(p.first().size, p.bold() && !beside(paragraphs, i))
		key := titleKey(c.text)
		if depths := t.bookmarks[key]; len(depths) > 0 {
			c.depth, t.bookmarks[key] = depths[0], depths[1:]
		}
	}
	return all
}

// beside tells whether a paragraph stands next to another, as the cells of a
// table do: bold type there makes no heading.
func beside(paragraphs []paragraph, i int) bool {
	level := func(above, below line) bool {
		return above.page == below.page && below.y > above.y-above.size/2
	}
	return i+1 < len(paragraphs) && level(paragraphs[i].last(), paragraphs[i+1].first()) ||
		i > 0 && level(paragraphs[i-1].last(), paragraphs[i].first())
}

// usableTitle drops titles that a program put in: "Microsoft Word - x.doc".
func usableTitle(s string) string {
	switch lower := strings.ToLower(s); {
	case strings.HasPrefix(lower, "microsoft "), strings.HasPrefix(lower, "untitled"), lower == "powerpoint presentation", lower == "презентация powerpoint",
		path.Ext(lower) != "" && !strings.Contains(path.Ext(lower), " "):
		return ""
	}
	return s
}
