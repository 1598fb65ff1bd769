package textextract

import (
	"errors"
	"math"
	"strings"
	"unicode"

	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
)

// forceBold is the flag of a font that is to be drawn bold (PDF 1.7, 9.8.2).
const forceBold = 1 << 18

const boldWeight = 600

// textPage is a page whose text is loaded.
type textPage struct {
	doc   *pdfDocument
	index int // from 0
	ref   references.FPDF_TEXTPAGE
	count int // of characters
}

// withText calls f with a page's text; not for a page that is itself broken.
func (d *pdfDocument) withText(index int, f func(textPage) error) error {
	loaded, err := d.pdfium.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: d.page(index)})
	if errors.Is(err, pdfiumerrors.ErrPage) {
		return nil
	}
	if err != nil {
		return damaged(err)
	}
	count, err := d.pdfium.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: loaded.TextPage})
	if err != nil {
		return damaged(err)
	}
	if err := f(textPage{doc: d, index: index, ref: loaded.TextPage, count: count.Count}); err != nil {
		return err
	}
	_, err = d.pdfium.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: loaded.TextPage})
	if err != nil {
		return damaged(err)
	}
	return nil
}

func (d *pdfDocument) page(index int) requests.Page {
	return requests.Page{ByIndex: &requests.PageByIndex{Document: d.ref, Index: index}}
}

// readPage returns a page's characters in the order in which they were drawn,
// and the page's height in points.
func (d *pdfDocument) readPage(index int) (chars []char, height float64, err error) {
	err = d.withText(index, func(p textPage) error {
		if p.count > maxPageChars {
			return unreadable("page %d of this PDF has more text on it than a page can hold: print it to a new PDF", index+1)
		}
		chars, err = p.chars()
		if err != nil {
			return damaged(err)
		}
		size, err := d.pdfium.GetPageSize(&requests.GetPageSize{Page: d.page(index)})
		if err != nil {
			return damaged(err)
		}
		height = size.Height
		return nil
	})
	return upright(chars), height, err
}

// chars reads the page. Calls into the sandbox are what it costs, and fonts
// take the most, so they are asked for once a word.
func (p textPage) chars() ([]char, error) {
	text, err := p.doc.pdfium.GetPageTextStructured(&requests.GetPageTextStructured{
		Page: p.doc.page(p.index), Mode: requests.GetPageTextStructuredModeChars,
	})
	if err != nil {
		return nil, err
	}
	chars := make([]char, 0, len(text.Chars))
	var word font
	inWord := false
	for i, c := range text.Chars {
		for _, r := range c.Text {
			if r == '\r' || r == '\n' { // PDFium's guess; lines are made from positions instead
				inWord = false
				continue
			}
			if !inWord && !unicode.IsSpace(r) {
				word = p.font(i)
			}
			inWord = !unicode.IsSpace(r)
			at := c.PointPosition
			chars = append(chars, char{r: r, x0: at.Left, x1: at.Right, y0: at.Bottom, y1: at.Top, angle: c.Angle, font: word})
		}
	}
	return chars, nil
}

// font is what a character is set in.
type font struct {
	size float64 // in points, as drawn
	bold bool
}

// font returns that of the character at i, as far as it is known.
func (p textPage) font(i int) font {
	f := font{size: 1} // so that nothing is divided by zero
	size, err := p.doc.pdfium.FPDFText_GetFontSize(&requests.FPDFText_GetFontSize{TextPage: p.ref, Index: i})
	if err == nil && size.FontSize > 0 {
		f.size = size.FontSize
	}
	matrix, err := p.doc.pdfium.FPDFText_GetMatrix(&requests.FPDFText_GetMatrix{TextPage: p.ref, Index: i})
	if err == nil {
		if scale := math.Hypot(float64(matrix.Matrix.C), float64(matrix.Matrix.D)); scale > 0 {
			f.size *= scale
		}
	}
	weight, err := p.doc.pdfium.FPDFText_GetFontWeight(&requests.FPDFText_GetFontWeight{TextPage: p.ref, Index: i})
	if err == nil && weight.FontWeight >= boldWeight {
		f.bold = true
		return f
	}
	info, err := p.doc.pdfium.FPDFText_GetFontInfo(&requests.FPDFText_GetFontInfo{TextPage: p.ref, Index: i})
	f.bold = err == nil && (info.Flags&forceBold != 0 || namesBold(info.FontName))
	return f
}

func namesBold(font string) bool {
	name := strings.ToLower(font)
	return strings.Contains(name, "bold") || strings.Contains(name, "black") || strings.Contains(name, "heavy")
}
