package textextract

import (
	"errors"

	"github.com/klippa-app/go-pdfium"
	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"

	"lectern/domain"
)

// What no readable document comes near; more is skipped or refused.
const (
	maxPageChars     = 200_000
	maxBookmarks     = 10_000
	maxBookmarkDepth = 8
)

// pdfDocument is a PDF opened in a PDFium of its own.
type pdfDocument struct {
	pdfium pdfium.Pdfium
	ref    references.FPDF_DOCUMENT
	pages  int
}

func openPDF(instance pdfium.Pdfium, content []byte, maxPages int) (*pdfDocument, error) {
	opened, err := instance.OpenDocument(&requests.OpenDocument{File: &content})
	if err != nil {
		return nil, openError(err)
	}
	count, err := instance.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: opened.Document})
	switch {
	case err != nil:
		return nil, damaged(err)
	case count.PageCount == 0:
		return nil, unreadable("this PDF has no pages: export it again from the program it was made with")
	case count.PageCount > maxPages:
		return nil, unreadable("this PDF has %d pages, the limit is %d: split it and upload the parts", count.PageCount, maxPages)
	}
	return &pdfDocument{pdfium: instance, ref: opened.Document, pages: count.PageCount}, nil
}

func openError(err error) error {
	switch {
	case errors.Is(err, pdfiumerrors.ErrPassword):
		return because(domain.Errorf(domain.ReasonDocumentEncrypted,
			"this PDF is protected by a password: remove the password and upload it again"), err)
	case errors.Is(err, pdfiumerrors.ErrSecurity):
		return because(domain.Errorf(domain.ReasonDocumentEncrypted,
			"this PDF is encrypted in a way that cannot be opened: save it without protection and upload it again"), err)
	}
	return damaged(err)
}

func damaged(err error) error {
	return because(unreadable("this PDF is damaged or incomplete: check that it opens, then download or export it again"), err)
}

// hasText tells whether any page has a character on it; a scan has none.
func (d *pdfDocument) hasText() (bool, error) {
	for i := range d.pages {
		n, err := d.countChars(i)
		if err != nil {
			return false, err
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, nil
}

// countChars returns 0 for a page that is itself broken.
func (d *pdfDocument) countChars(page int) (int, error) {
	loaded, err := d.pdfium.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: d.page(page)})
	if errors.Is(err, pdfiumerrors.ErrPage) {
		return 0, nil
	}
	if err != nil {
		return 0, damaged(err)
	}
	count, err := d.pdfium.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: loaded.TextPage})
	if err != nil {
		return 0, damaged(err)
	}
	_, err = d.pdfium.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: loaded.TextPage})
	if err != nil {
		return 0, damaged(err)
	}
	return count.Count, nil
}

// readPage returns a page's characters in the order in which they were drawn,
// and the page's height in points.
func (d *pdfDocument) readPage(page int) (chars []char, height float64, err error) {
	n, err := d.countChars(page)
	if err != nil || n <= 0 {
		return nil, 0, err
	}
	if n > maxPageChars {
		return nil, 0, unreadable("page %d of this PDF has more text on it than a page can hold: print it to a new PDF", page+1)
	}
	text, err := d.pdfium.GetPageTextStructured(&requests.GetPageTextStructured{
		Page: d.page(page), Mode: requests.GetPageTextStructuredModeChars, CollectFontInformation: true,
	})
	if err != nil {
		return nil, 0, damaged(err)
	}
	size, err := d.pdfium.GetPageSize(&requests.GetPageSize{Page: d.page(page)})
	if err != nil {
		return nil, 0, damaged(err)
	}
	chars = make([]char, 0, len(text.Chars))
	for _, c := range text.Chars {
		chars = appendChar(chars, c)
	}
	return upright(chars), size.Height, nil
}

func (d *pdfDocument) page(i int) requests.Page {
	return requests.Page{ByIndex: &requests.PageByIndex{Document: d.ref, Index: i}}
}

// title returns the title in the document's properties, or "".
func (d *pdfDocument) title() string {
	meta, err := d.pdfium.FPDF_GetMetaText(&requests.FPDF_GetMetaText{Document: d.ref, Tag: "Title"})
	if err != nil {
		return ""
	}
	return clean(meta.Value)
}

// bookmarks returns, for each title in the outline, its depths from 1 in the
// outline's order. The walk is our own, because an outline may contain itself.
func (d *pdfDocument) bookmarks() map[string][]int {
	depths := map[string][]int{}
	left := maxBookmarks
	d.walkBookmarks(nil, 1, &left, depths)
	return depths
}

func (d *pdfDocument) walkBookmarks(parent *references.FPDF_BOOKMARK, depth int, left *int, depths map[string][]int) {
	if depth > maxBookmarkDepth {
		return
	}
	first, err := d.pdfium.FPDFBookmark_GetFirstChild(&requests.FPDFBookmark_GetFirstChild{Document: d.ref, Bookmark: parent})
	if err != nil {
		return
	}
	for at := first.Bookmark; at != nil && *left > 0; *left-- {
		title, err := d.pdfium.FPDFBookmark_GetTitle(&requests.FPDFBookmark_GetTitle{Bookmark: *at})
		if err == nil {
			key := titleKey(title.Title)
			depths[key] = append(depths[key], depth)
		}
		d.walkBookmarks(at, depth+1, left, depths)
		next, err := d.pdfium.FPDFBookmark_GetNextSibling(&requests.FPDFBookmark_GetNextSibling{Document: d.ref, Bookmark: *at})
		if err != nil {
			return
		}
		at = next.Bookmark
	}
}
