package textextract

import (
	"encoding/xml"
	"strconv"
	"strings"

	"lectern/domain"
)

// odtMaxDepth bounds the level of a list's items.
const odtMaxDepth = 10

// odtBody gathers the blocks of a document's text.
type odtBody struct {
	budget
	styles odtStyles
	x      *xmlReader
	out    blocks
	title  string
	lists  int  // around the present element
	first  bool // the next paragraph is the first of a list's item
}

// odtSkipped tells the elements whose text is not the document's.
func odtSkipped(el xml.StartElement) bool {
	switch name := el.Name.Local; name {
	case "tracked-changes", "note", "annotation", "annotation-end", "forms", "ruby-text", "bibliography", "object", "object-ole",
		"event-listeners", "hidden-text", "sequence-decls", "variable-decls", "user-field-decls", "dde-connection-decls",
		"table-of-content", "table-index", "object-index", "illustration-index", "user-index", "alphabetical-index", "page-number", "page-count":
		return true
	case "title", "desc": // of a picture; the field with the document's title has the same name
		return strings.Contains(el.Name.Space, "svg")
	case "section":
		return attr(el, "display") == "none"
	case "hidden-paragraph":
		return isTrue(attr(el, "is-hidden"))
	}
	return false
}

// read reads the part with the text.
func (b *odtBody) read(x *xmlReader, _ xml.StartElement) error {
	b.x = x
	return x.children(func(el xml.StartElement) error {
		if el.Name.Local != "body" {
			return b.styles.readGroup(x, el)
		}
		return x.children(b.block)
	})
}

// block reads a heading, a paragraph, a list, a table, or what holds some.
func (b *odtBody) block(el xml.StartElement) error {
	switch {
	case odtSkipped(el):
		return b.x.skip(el)
	case el.Name.Local == "h":
		level, err := strconv.Atoi(attr(el, "outline-level"))
		if err != nil || level < 1 {
			level = 1
		}
		return b.paragraph(domain.BlockHeading, min(level, odtMaxDepth))
	case el.Name.Local == "p":
		return b.styled(attr(el, "style-name"))
	case el.Name.Local == "list":
		b.lists++
		defer func() { b.lists-- }()
		return b.x.children(b.block)
	case el.Name.Local == "list-item":
		b.first = true
		defer func() { b.first = false }()
		return b.x.children(b.block)
	case el.Name.Local == "table":
		return b.table()
	}
	return b.x.children(b.block)
}

// styled reads a paragraph that its style may make something else.
func (b *odtBody) styled(style string) error {
	title, level := b.styles.role(style)
	switch {
	case title && b.title == "":
		text, boxes, err := b.line()
		b.title, b.out = text, append(b.out, boxes...)
		return err
	case title:
		return b.paragraph(domain.BlockHeading, 1)
	case level > 0:
		return b.paragraph(domain.BlockHeading, level)
	case b.first:
		return b.paragraph(domain.BlockListItem, min(b.lists-1, odtMaxDepth))
	}
	return b.paragraph(domain.BlockParagraph, 0)
}

func (b *odtBody) paragraph(kind domain.BlockKind, level int) error {
	b.first = false
	text, boxes, err := b.line()
	b.out.add(kind, level, 0, text)
	b.out = append(b.out, boxes...)
	return err
}

// line reads the present element's text, and the boxes anchored in it, which
// come after it.
func (b *odtBody) line() (string, blocks, error) {
	if err := b.part(); err != nil {
		return "", nil, err
	}
	var text strings.Builder
	var boxes blocks
	err := b.inline(&text, &boxes)
	return clean(text.String()), boxes, err
}

func (b *odtBody) inline(text *strings.Builder, boxes *blocks) (err error) {
	var full error
	err = b.x.content(func(el xml.StartElement) error {
		switch name := el.Name.Local; {
		case odtSkipped(el):
			return b.x.skip(el)
		case name == "s", name == "tab", name == "line-break":
			text.WriteByte(' ')
		case name == "text-box", name == "custom-shape":
			apart, err := b.apart(b.block)
			*boxes = append(*boxes, apart...)
			return err
		}
		return b.inline(text, boxes)
	}, func(chars xml.CharData) {
		if full == nil {
			full = b.spend(string(chars))
			text.Write(chars)
		}
	})
	if err == nil {
		err = full
	}
	return err
}

// apart reads the present element's children as if they stood in no list, and
// returns their blocks.
func (b *odtBody) apart(visit func(xml.StartElement) error) (blocks, error) {
	around := *b
	b.out, b.lists, b.first = nil, 0, false
	err := b.x.children(visit)
	apart := b.out
	b.out, b.lists, b.first = around.out, around.lists, around.first
	return apart, err
}

// table reads a table; those within its cells are the cells' text.
func (b *odtBody) table() error {
	return b.x.children(b.row)
}

// row reads a table's row, or what holds some.
func (b *odtBody) row(el xml.StartElement) error {
	switch {
	case odtSkipped(el):
		return b.x.skip(el)
	case el.Name.Local != "table-row":
		return b.x.children(b.row)
	}
	var cells []blocks
	err := b.x.children(func(el xml.StartElement) error {
		if el.Name.Local != "table-cell" && el.Name.Local != "covered-table-cell" {
			return b.x.skip(el)
		}
		if err := b.part(); err != nil {
			return err
		}
		cell, err := b.apart(b.block)
		cells = append(cells, cell)
		return err
	})
	b.out.addRow(0, cells)
	return err
}
