package textextract

import (
	"context"
	"encoding/xml"
	"net/url"
	"path"
	"slices"
	"strings"

	"lectern/domain"
)

const (
	epubEncryptionPart = "meta-inf/encryption.xml"
	epubMaxItems       = 10_000 // of a book's manifest, its spine and its table of contents, each
)

// extractEPUB reads a book's chapters in their order. The table of contents
// gives the headings' levels, and the headings of chapters that have none of
// their own. Without the cover, the table itself, footnotes, page numbers, and
// what is not in the order of reading.
func extractEPUB(ctx context.Context, a *archive, o Options) (domain.Text, error) {
	root, err := a.epubRoot(ctx)
	if err != nil {
		return domain.Text{}, err
	}
	book := epubBook{archive: a, dir: path.Dir(root), items: map[string]epubItem{}, aside: map[string]bool{}}
	if err := a.read(ctx, root, book.read); err != nil {
		return domain.Text{}, err
	}
	contents, err := book.contents(ctx, o.MaxTextBytes)
	if err != nil {
		return domain.Text{}, err
	}
	out, err := book.chapters(ctx, contents, o.MaxTextBytes)
	if err != nil {
		return domain.Text{}, err
	}
	title := usableTitle(clean(book.title))
	switch {
	case title == "":
		title = out.title("")
	case len(out) > 0 && out[0].Kind == domain.BlockHeading && titleKey(out[0].Text) == titleKey(title):
		out = out[1:] // the title page
	}
	return domain.Text{Title: title, Blocks: out}, nil
}

// epubBook is what a book says of its parts.
type epubBook struct {
	*archive
	dir   string // of the part that says so, which references are relative to
	title string
	items map[string]epubItem // by id
	spine []string            // ids in the order of reading
	ncx   string              // the id of an older book's table of contents
	aside map[string]bool     // parts that are no chapters
	shift int                 // levels by which the headings read last were moved
}

type epubItem struct{ part, kind, properties string }

// epubRoot returns the name of the part that lists the others.
func (a *archive) epubRoot(ctx context.Context) (root string, err error) {
	err = a.read(ctx, containerPart, func(x *xmlReader, _ xml.StartElement) error {
		return x.children(func(_ xml.StartElement) error {
			return x.children(func(el xml.StartElement) error {
				if el.Name.Local == "rootfile" && root == "" {
					root = partName(attr(el, "full-path"))
				}
				return x.skip(el)
			})
		})
	})
	if err == nil && a.files[root] == nil {
		err = a.damaged(nil)
	}
	return root, err
}

// checkEPUB refuses one whose text is encrypted against copying. Fonts often
// are disguised, which is no hindrance.
func (a *archive) checkEPUB(ctx context.Context) error {
	locked := false
	err := a.read(ctx, epubEncryptionPart, func(x *xmlReader, _ xml.StartElement) error {
		return x.children(func(_ xml.StartElement) error {
			return x.children(func(el xml.StartElement) error {
				if el.Name.Local == "EncryptionMethod" {
					locked = locked || !isFontDisguise(attr(el, "Algorithm"))
				}
				return x.skip(el)
			})
		})
	})
	if err == nil && locked {
		return domain.Errorf(domain.ReasonDocumentEncrypted,
			"this EPUB book is protected against copying (DRM): upload it without the protection, or as another format")
	}
	return err
}

func isFontDisguise(algorithm string) bool {
	return strings.HasPrefix(algorithm, "http://www.idpf.org/") || strings.HasPrefix(algorithm, "http://ns.adobe.com/pdf/enc")
}

// read reads the part that lists the others.
func (b *epubBook) read(x *xmlReader, _ xml.StartElement) error {
	return x.children(func(el xml.StartElement) error {
		switch el.Name.Local {
		case "metadata", "dc-metadata":
			return b.readTitle(x)
		case "spine":
			b.ncx = attr(el, "toc")
			fallthrough
		case "manifest", "guide":
			return x.children(func(el xml.StartElement) error {
				b.entry(el)
				return x.skip(el)
			})
		}
		return x.skip(el)
	})
}

func (b *epubBook) readTitle(x *xmlReader) error {
	return x.children(func(el xml.StartElement) (err error) {
		switch {
		case el.Name.Local == "dc-metadata":
			return b.readTitle(x)
		case el.Name.Local == "title" && b.title == "":
			b.title, err = x.text()
			return err
		}
		return x.skip(el)
	})
}

func (b *epubBook) entry(el xml.StartElement) {
	switch el.Name.Local {
	case "item":
		if len(b.items) < epubMaxItems {
			part, _ := b.target(b.dir, attr(el, "href"))
			b.items[attr(el, "id")] = epubItem{part, attr(el, "media-type"), attr(el, "properties")}
		}
	case "itemref":
		if attr(el, "linear") != "no" && len(b.spine) < epubMaxItems {
			b.spine = append(b.spine, attr(el, "idref"))
		}
	case "reference":
		if kind := attr(el, "type"); len(b.aside) < epubMaxItems && (kind == "toc" || kind == "cover") {
			part, _ := b.target(b.dir, attr(el, "href"))
			b.aside[part] = true
		}
	}
}

// target returns the part, and the place in it, that a reference leads to.
func (b *epubBook) target(dir, href string) (part, place string) {
	href, place, _ = strings.Cut(href, "#")
	if plain, err := url.PathUnescape(href); err == nil {
		href = plain
	}
	if plain, err := url.PathUnescape(place); err == nil {
		place = plain
	}
	return resolve(dir, href), place
}

// has tells whether an item has a property.
func (i epubItem) has(property string) bool {
	return slices.Contains(strings.Fields(i.properties), property)
}
