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
func (d *pdfDocument) hasText() (found bool, err error) {
	for i := 0; i < d.pages && !found && err == nil; i++ {
		err = d.withText(i, func(p textPage) error {
			found = p.count > 0
			return nil
		})
	}
	return found, err
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
