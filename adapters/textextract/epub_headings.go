package textextract

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// setEntries makes headings of what the table of contents leads to, at the
// table's levels, and moves the headings below each along with it. shift is by
// how many levels the part before moved its last ones, which it goes on with.
func setEntries(doc *html.Node, entries []epubEntry, shift int) int {
	index := indexChapter(doc)
	levels := map[*html.Node]int{}
	for _, e := range entries {
		if n := index.heading(e, levels); n != nil {
			levels[n] = e.level
		}
	}
	for n := range doc.Descendants() {
		own := headingLevel(n)
		level, listed := levels[n]
		switch {
		case listed:
			shift = level - max(own, 1)
			makeHeading(n, level)
		case own > 0:
			makeHeading(n, own+shift)
		}
	}
	return shift
}

// makeHeading makes a heading of a node. Its level stands in an attribute.
func makeHeading(n *html.Node, level int) {
	n.DataAtom, n.Data = atom.H1, "h1"
	n.Attr = append([]html.Attribute{{Key: levelAttr, Val: strconv.Itoa(max(1, min(level, maxHeadingLevel)))}}, n.Attr...)
}

// chapterIndex finds places in a part.
type chapterIndex struct {
	body  *html.Node
	first *html.Node // in the body, before anything was inserted
	ids   map[string]*html.Node
	at    map[*html.Node]int      // a node's position
	text  map[*html.Node]int      // bytes of text before a heading, or what has an id
	total int                     // of these
	heads []*html.Node            // headings
	lines map[string][]*html.Node // headings and short paragraphs, by titleKey
}

func indexChapter(doc *html.Node) *chapterIndex {
	x := &chapterIndex{
		body: doc, ids: map[string]*html.Node{}, at: map[*html.Node]int{}, text: map[*html.Node]int{},
		lines: map[string][]*html.Node{},
	}
	position := 0
	for n := range doc.Descendants() {
		position++
		x.at[n] = position
		if n.Type == html.TextNode && x.body != doc && !dropped(n.Parent) {
			x.total += len(strings.TrimSpace(n.Data))
		}
		if n.Type == html.ElementNode {
			x.element(n)
		}
	}
	return x
}

func (x *chapterIndex) element(n *html.Node) {
	x.text[n] = x.total
	if id := attribute(n, "id"); id != "" && x.ids[id] == nil {
		x.ids[id] = n
	}
	switch {
	case n.DataAtom == atom.Body:
		x.body, x.first = n, n.FirstChild
		return
	case headingLevel(n) > 0:
		x.heads = append(x.heads, n)
	case n.DataAtom != atom.P:
		return
	}
	if text := rawText(n); utf8.RuneCountInString(text) <= maxEntryRunes {
		key := titleKey(text)
		x.lines[key] = append(x.lines[key], n)
	}
}

// maxEntryRunes bounds a paragraph that may be what the table of contents means.
const maxEntryRunes = 200

// heading returns the node that an entry means: what reads as it does from its
// place on, else the heading that its place leads to, else a new one there;
// nil where there is no text. taken are those of other entries.
func (x *chapterIndex) heading(e epubEntry, taken map[*html.Node]int) *html.Node {
	start := x.start(e.place)
	for _, n := range x.from(start, x.lines[titleKey(e.label)]) {
		if taken[n] == 0 {
			return n
		}
	}
	if heads := x.from(start, x.heads); len(heads) > 0 && x.text[heads[0]] == x.text[start] && taken[heads[0]] == 0 {
		return heads[0]
	}
	if x.total == 0 {
		return nil
	}
	return x.insert(start, e.label)
}

// from returns those of nodes, which are in order, that do not stand before one.
func (x *chapterIndex) from(start *html.Node, nodes []*html.Node) []*html.Node {
	first, _ := slices.BinarySearchFunc(nodes, x.at[start], func(n *html.Node, at int) int { return x.at[n] - at })
	return nodes[first:]
}

// start returns the node with an id, or the heading around it; else the body.
func (x *chapterIndex) start(id string) *html.Node {
	found := x.ids[id]
	if id == "" || found == nil {
		return x.body
	}
	for n := found; n != nil; n = n.Parent {
		if headingLevel(n) > 0 {
			return n
		}
	}
	return found
}

// insert puts a heading before a node, or at the body's beginning.
func (x *chapterIndex) insert(before *html.Node, text string) *html.Node {
	n := &html.Node{Type: html.ElementNode, DataAtom: atom.H1, Data: "h1"}
	n.AppendChild(&html.Node{Type: html.TextNode, Data: text})
	for isInline(before) && before.Parent != nil && before != x.body {
		before = before.Parent
	}
	if before == x.body || before.Parent == nil {
		x.body.InsertBefore(n, x.first)
	} else {
		before.Parent.InsertBefore(n, before)
	}
	return n
}
