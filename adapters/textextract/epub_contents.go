package textextract

import (
	"context"
	"encoding/xml"
	"path"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// epubEntry is one of a table of contents.
type epubEntry struct {
	label string
	level int // from 1
	part  string
	place string // the id of an element; "" for the part's beginning
}

// contents returns the table of contents, in its order; the older kind where
// there is no other.
func (b *epubBook) contents(ctx context.Context, limit int64) ([]epubEntry, error) {
	for _, item := range b.items {
		if item.has("nav") {
			b.aside[item.part] = true
			content, err := b.bytes(ctx, item.part, limit)
			if err != nil {
				return nil, err
			}
			return b.navigation(item.part, content)
		}
	}
	table := epubTable{book: b, dir: path.Dir(b.items[b.ncx].part)}
	err := b.archive.read(ctx, b.items[b.ncx].part, table.read)
	return table.entries, err
}

// navigation reads the table of a book of today, which is a web page.
func (b *epubBook) navigation(part string, content []byte) ([]epubEntry, error) {
	doc, err := parseXHTML(content)
	if err != nil {
		return nil, b.damaged(err)
	}
	table := epubTable{book: b, dir: path.Dir(part)}
	for n := range doc.Descendants() {
		if n.DataAtom == atom.Nav && epubTypeOf(n, "toc") {
			table.list(n, 0)
			break
		}
	}
	return table.entries, nil
}

// epubTable gathers the entries of a table of contents.
type epubTable struct {
	book    *epubBook
	dir     string // of the table, which references are relative to
	entries []epubEntry
}

// list reads the links under a node; the lists within it are a level deeper.
func (t *epubTable) list(n *html.Node, level int) {
	for c := range n.ChildNodes() {
		switch c.DataAtom {
		case atom.A:
			t.add(clean(rawText(c)), level, attribute(c, "href"))
		case atom.Ol:
			t.list(c, level+1)
		default:
			t.list(c, level)
		}
	}
}

func (t *epubTable) add(label string, level int, href string) {
	if label == "" || href == "" || len(t.entries) >= epubMaxItems {
		return
	}
	part, place := t.book.target(t.dir, href)
	t.entries = append(t.entries, epubEntry{label, max(1, min(level, maxHeadingLevel)), part, place})
}

// read reads the table of an older book.
func (t *epubTable) read(x *xmlReader, _ xml.StartElement) error {
	return x.children(func(el xml.StartElement) error {
		if el.Name.Local != "navMap" {
			return x.skip(el)
		}
		return x.children(func(el xml.StartElement) error { return t.point(x, el, 1) })
	})
}

// point reads an entry and those within it.
func (t *epubTable) point(x *xmlReader, el xml.StartElement, level int) error {
	if el.Name.Local != "navPoint" {
		return x.skip(el)
	}
	label := ""
	return x.children(func(el xml.StartElement) error {
		switch el.Name.Local {
		case "navLabel":
			return x.children(func(xml.StartElement) (err error) {
				label, err = x.text()
				return err
			})
		case "content": // comes after the label and before the entries within
			t.add(clean(label), level, attr(el, "src"))
		case "navPoint":
			return t.point(x, el, level+1)
		}
		return x.skip(el)
	})
}

// epubTypeOf tells whether a node says that it is of one of some kinds.
func epubTypeOf(n *html.Node, kinds ...string) bool {
	said := strings.Fields(attribute(n, "epub:type") + " " + attribute(n, "role"))
	for _, kind := range kinds {
		for _, s := range said {
			if s == kind || s == "doc-"+kind {
				return true
			}
		}
	}
	return false
}
