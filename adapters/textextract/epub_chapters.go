package textextract

import (
	"context"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// chapters returns the text of the parts in the order of reading. limit bounds
// the bytes of each, and of all their text.
func (b *epubBook) chapters(ctx context.Context, contents []epubEntry, limit int64) (blocks, error) {
	entries := map[string][]epubEntry{}
	for _, e := range contents {
		entries[e.part] = append(entries[e.part], e)
	}
	var out blocks
	left := limit
	for _, id := range b.spine {
		item := b.items[id]
		if b.aside[item.part] || item.kind != "application/xhtml+xml" && item.kind != "text/html" {
			continue
		}
		chapter, err := b.chapter(ctx, item.part, entries[item.part], limit)
		if err != nil {
			return nil, err
		}
		if left -= chapter.size(); left < 0 {
			return nil, tooMuchText(limit)
		}
		out = append(out, chapter...)
	}
	return out, nil
}

func (b *epubBook) chapter(ctx context.Context, part string, entries []epubEntry, limit int64) (blocks, error) {
	content, err := b.bytes(ctx, part, limit)
	if err != nil {
		return nil, err
	}
	doc, err := parseXHTML(content)
	if err != nil {
		return nil, b.verdict(ctx, err)
	}
	hideNotes(doc)
	b.shift = setEntries(doc, entries, b.shift)
	out, err := htmlBlocks(ctx, doc)
	return out, b.verdict(ctx, err)
}

// hideNotes takes out what is not a chapter's text, and keeps the boxes beside
// it, which a web page's reader takes for its surroundings.
func hideNotes(doc *html.Node) {
	for n := range doc.Descendants() {
		switch {
		case n.Type != html.ElementNode:
		case isBesides(n):
			n.Attr = append(n.Attr, html.Attribute{Key: "hidden"})
		case n.DataAtom == atom.Aside:
			n.DataAtom, n.Data = atom.Div, "div"
		}
	}
}

// isBesides tells notes and their marks, the numbers of printed pages, and what
// stands before the text, by what the books of today say, and by the classes
// that programs give in older ones.
func isBesides(n *html.Node) bool {
	for _, class := range strings.Fields(attribute(n, "class")) {
		switch class {
		case "footnote", "footnotes", "endnotes", "footnote-ref", "footnote-back", "noteref", "pagebreak":
			return true
		}
	}
	return epubTypeOf(n, "footnote", "footnotes", "endnote", "endnotes", "rearnote", "rearnotes", "noteref", "pagebreak", "page-list",
		"toc", "landmarks", "index", "cover", "titlepage", "halftitlepage", "copyright-page")
}
