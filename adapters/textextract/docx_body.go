package textextract

import (
	"encoding/xml"
	"strings"

	"lectern/domain"
)

// docxBody gathers the blocks of a document's text.
type docxBody struct {
	budget
	styles docxStyles
	x      *xmlReader
	out    blocks
	title  string
}

// docxSkipped tells the elements whose text is not the document's: properties,
// what was deleted or moved elsewhere, field codes, the older rendering of a
// text box, and the reading aid above a word.
func docxSkipped(name string) bool {
	switch name {
	case "rPr", "sectPr", "sdtPr", "tblPr", "trPr", "tcPr", "del", "moveFrom", "delText", "instrText", "delInstrText", "Fallback", "rt":
		return true
	}
	return false
}

// read reads the main part.
func (b *docxBody) read(x *xmlReader, _ xml.StartElement) error {
	b.x = x
	return x.children(b.block)
}

// block reads a paragraph, a table, or what holds some of them.
func (b *docxBody) block(el xml.StartElement) error {
	switch name := el.Name.Local; {
	case name == "p":
		return b.paragraph()
	case name == "tbl":
		return b.x.children(b.row)
	case name == "sdt":
		return b.control()
	case docxSkipped(name):
		return b.x.skip(el)
	}
	return b.x.children(b.block)
}

// control reads what a content control holds, unless that is the table of
// contents, whose title looks like any paragraph.
func (b *docxBody) control() error {
	contents := false
	var properties func(xml.StartElement) error
	properties = func(el xml.StartElement) error {
		contents = contents || el.Name.Local == "docPartGallery" && attr(el, "val") == "Table of Contents"
		return b.x.children(properties)
	}
	return b.x.children(func(el xml.StartElement) error {
		switch {
		case el.Name.Local == "sdtPr":
			return b.x.children(properties)
		case contents:
			return b.x.skip(el)
		}
		return b.block(el)
	})
}

// docxParagraph is a paragraph being read.
type docxParagraph struct {
	docxFormat
	text  strings.Builder
	boxes blocks // of the text boxes anchored in it, which come after it
}

func (b *docxBody) paragraph() error {
	if err := b.part(); err != nil {
		return err
	}
	var p docxParagraph
	err := b.x.children(func(el xml.StartElement) error {
		if el.Name.Local == "pPr" {
			return p.read(b.x)
		}
		return b.inline(&p, el)
	})
	b.addParagraph(&p)
	b.out = append(b.out, p.boxes...)
	return err
}

func (b *docxBody) addParagraph(p *docxParagraph) {
	text := clean(p.text.String())
	switch role := b.styles.role(p.docxFormat); {
	case role.contents:
	case role.title && b.title == "":
		b.title = text
	case role.title:
		b.out.add(domain.BlockHeading, 1, 0, text)
	case role.level > 0:
		b.out.add(domain.BlockHeading, role.level, 0, text)
	case role.item:
		b.out.add(domain.BlockListItem, role.depth, 0, text)
	default:
		b.out.add(domain.BlockParagraph, 0, 0, text)
	}
}

// inline reads an element within a paragraph.
func (b *docxBody) inline(p *docxParagraph, el xml.StartElement) error {
	switch name := el.Name.Local; {
	case name == "t":
		return b.characters(p)
	case name == "tab", name == "ptab", name == "br", name == "cr":
		p.text.WriteByte(' ')
	case name == "noBreakHyphen":
		p.text.WriteByte('-')
	case name == "txbxContent":
		boxes, err := b.apart(b.block)
		p.boxes = append(p.boxes, boxes...)
		return err
	case docxSkipped(name):
		return b.x.skip(el)
	}
	return b.x.children(func(el xml.StartElement) error { return b.inline(p, el) })
}

func (b *docxBody) characters(p *docxParagraph) error {
	text, err := b.x.text()
	if err != nil {
		return err
	}
	if err := b.spend(text); err != nil {
		return err
	}
	p.text.WriteString(text)
	return nil
}

// apart reads the present element's children and returns their blocks.
func (b *docxBody) apart(visit func(xml.StartElement) error) (blocks, error) {
	around := b.out
	b.out = nil
	err := b.x.children(visit)
	apart := b.out
	b.out = around
	return apart, err
}

// row reads a table's row, or what holds some.
func (b *docxBody) row(el xml.StartElement) error {
	switch name := el.Name.Local; {
	case docxSkipped(name):
		return b.x.skip(el)
	case name != "tr":
		return b.x.children(b.row)
	}
	var cells []blocks
	err := b.x.children(func(el xml.StartElement) error { return b.cell(&cells, el) })
	b.out.addRow(0, cells)
	return err
}

func (b *docxBody) cell(cells *[]blocks, el xml.StartElement) error {
	switch name := el.Name.Local; {
	case docxSkipped(name):
		return b.x.skip(el)
	case name != "tc":
		return b.x.children(func(el xml.StartElement) error { return b.cell(cells, el) })
	}
	if err := b.part(); err != nil {
		return err
	}
	content, err := b.apart(b.block)
	*cells = append(*cells, content)
	return err
}
