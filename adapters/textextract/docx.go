package textextract

import (
	"context"
	"encoding/xml"

	"lectern/domain"
)

// extractDOCX reads a Word document's text: without headers, footers, notes,
// comments, deletions and the table of contents.
func extractDOCX(ctx context.Context, content []byte, o Options) (domain.Text, error) {
	archive, err := openDOCX(content, o) //nolint:contextcheck // it reads the archive's directory alone, which is bounded
	if err != nil {
		return domain.Text{}, err
	}
	styles := docxStyles{}
	if err := archive.read(ctx, archive.styles(), styles.read); err != nil {
		return domain.Text{}, err
	}
	body := docxBody{styles: styles, limit: o.MaxTextBytes}
	if err := archive.read(ctx, archive.main, body.read); err != nil {
		return domain.Text{}, err
	}
	if body.title == "" {
		property, err := archive.title(ctx)
		if err != nil {
			return domain.Text{}, err
		}
		body.title = body.out.title(property)
	}
	return domain.Text{Title: body.title, Blocks: body.out}, nil
}

// title returns the title in the document's properties, or "".
func (a *docxArchive) title(ctx context.Context) (title string, err error) {
	err = a.read(ctx, a.properties(), func(x *docxXML, _ xml.StartElement) error {
		return x.children(func(el xml.StartElement) error {
			if el.Name.Local != "title" {
				return x.skip(el)
			}
			title, err = x.text()
			return err
		})
	})
	return usableTitle(clean(title)), err
}
