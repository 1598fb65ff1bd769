package textextract

import (
	"context"
	"encoding/xml"

	"lectern/domain"
)

const (
	odtContentPart  = "content.xml"
	odtStylesPart   = "styles.xml"
	odtMetaPart     = "meta.xml"
	odtManifestPart = "meta-inf/manifest.xml"
)

// extractODT reads the text of an OpenDocument text, as LibreOffice writes it:
// without headers, footers, notes, comments, deletions, hidden sections, and
// tables of contents and other indexes.
func extractODT(ctx context.Context, a *archive, o Options) (domain.Text, error) {
	styles := odtStyles{}
	if err := a.read(ctx, odtStylesPart, styles.read); err != nil {
		return domain.Text{}, err
	}
	body := odtBody{styles: styles, budget: budget{limit: o.MaxTextBytes}}
	if err := a.read(ctx, odtContentPart, body.read); err != nil {
		return domain.Text{}, err
	}
	if body.title == "" {
		property, err := a.metaTitle(ctx)
		if err != nil {
			return domain.Text{}, err
		}
		body.title = body.out.title(property)
	}
	return domain.Text{Title: body.title, Blocks: body.out}, nil
}

// metaTitle returns the title in an ODT's properties, or "".
func (a *archive) metaTitle(ctx context.Context) (title string, err error) {
	err = a.read(ctx, odtMetaPart, func(x *xmlReader, _ xml.StartElement) error {
		return x.children(func(el xml.StartElement) error {
			if el.Name.Local != "meta" {
				return x.skip(el)
			}
			return x.children(func(el xml.StartElement) error {
				if el.Name.Local != "title" {
					return x.skip(el)
				}
				title, err = x.text()
				return err
			})
		})
	})
	return usableTitle(clean(title)), err
}

// checkODT refuses one under a password: the manifest says which of its parts
// are encrypted, while the archive itself is not.
func (a *archive) checkODT(ctx context.Context) error {
	encrypted := false
	err := a.read(ctx, odtManifestPart, func(x *xmlReader, _ xml.StartElement) error {
		return x.children(func(_ xml.StartElement) error {
			return x.children(func(el xml.StartElement) error {
				encrypted = encrypted || el.Name.Local == "encryption-data"
				return x.skip(el)
			})
		})
	})
	switch {
	case err != nil:
		return err
	case encrypted:
		return a.encrypted()
	case a.files[odtContentPart] == nil:
		return a.other("")
	}
	return nil
}
