package textextract

import (
	"context"
	"encoding/xml"

	"lectern/domain"
)

// pptxSlide is what one slide holds.
type pptxSlide struct {
	number  int
	hidden  bool
	divides bool // a title page, or a section's header
	title   string
	blocks  blocks
}

// slide reads a slide, and what its notes say if they are wanted.
func (d *pptxDeck) slide(ctx context.Context, part string, number int, notes bool) (pptxSlide, error) {
	s := pptxSlide{number: number}
	related, err := d.relations(ctx, part)
	if err != nil {
		return s, err
	}
	r := pptxShapes{budget: &d.budget, slide: &s, related: related}
	if r.layout, err = d.layout(ctx, firstOf(related, relLayout)); err != nil {
		return s, err
	}
	if err := d.read(ctx, part, r.read); err != nil || s.hidden {
		return s, err
	}
	for _, diagram := range r.diagrams {
		if err := d.read(ctx, diagram, r.readDiagram); err != nil {
			return s, err
		}
	}
	s.divides = s.divides || r.layout.divides
	if notes {
		r := pptxShapes{budget: &d.budget, slide: &s, notes: true}
		err = d.read(ctx, firstOf(related, relNotes), r.read)
	}
	return s, err
}

// firstOf returns the part that is related in a way of which there is but one.
func firstOf(related map[string]relation, kind string) string {
	for _, r := range related {
		if r.kind == kind {
			return r.part
		}
	}
	return ""
}

// pptxShapes reads the shapes of a slide, or those of its notes.
type pptxShapes struct {
	*budget
	x        *xmlReader
	slide    *pptxSlide
	layout   pptxLayout
	related  map[string]relation
	notes    bool
	diagrams []string // the parts with their text
}

func (r *pptxShapes) read(x *xmlReader, el xml.StartElement) error {
	r.x = x
	if show := attr(el, "show"); show == "0" || show == "false" {
		r.slide.hidden = true
	}
	return x.children(r.shape)
}

// shape reads a shape, or what holds some.
func (r *pptxShapes) shape(el xml.StartElement) error {
	switch el.Name.Local {
	case "sp":
		return r.text()
	case "tbl":
		return r.x.children(r.row)
	case "relIds":
		if diagram := r.related[attr(el, "dm")]; diagram.kind == relDiagram {
			r.diagrams = append(r.diagrams, diagram.part)
		}
	case "cSld", "spTree", "grpSp", "graphicFrame", "graphic", "graphicData", "AlternateContent", "Choice":
		return r.x.children(r.shape)
	}
	return r.x.skip(el)
}

// text reads a shape that may have text.
func (r *pptxShapes) text() error {
	var at pptxPlace
	var own bullets
	var paragraphs []pptxParagraph
	err := r.x.children(func(el xml.StartElement) (err error) {
		switch el.Name.Local {
		case "nvSpPr":
			return r.x.children(func(el xml.StartElement) error { return at.read(r.x, el) })
		case "txBody":
			own, paragraphs, err = r.body()
			return err
		}
		return r.x.skip(el)
	})
	if err == nil && !at.hidden {
		r.place(at, own, paragraphs)
	}
	return err
}

// place puts a shape's paragraphs where they belong.
func (r *pptxShapes) place(at pptxPlace, own bullets, paragraphs []pptxParagraph) {
	switch {
	case at.isFurniture(), r.notes && at.kind != "body":
	case at.isTitle() && r.slide.title == "":
		r.slide.title = titleOf(paragraphs)
		r.slide.divides = r.slide.divides || at.kind == "ctrTitle"
	case at.kind == "subTitle": // LibreOffice calls a title page's title as it does any other
		r.slide.divides = r.slide.divides || r.slide.number == 1
		fallthrough
	default:
		marks := own
		if at.isBody() && !r.notes {
			marks = own.or(r.layout.marks(at))
		}
		for _, p := range paragraphs {
			r.slide.blocks.addParagraph(r.slide.number, p, marks)
		}
	}
}

func (b *blocks) addParagraph(page int, p pptxParagraph, marks bullets) {
	if p.mark == marked || p.mark == unsaid && marks[p.level] == marked {
		text, _ := cutMark(p.text)
		b.add(domain.BlockListItem, p.level, page, text)
		return
	}
	b.add(domain.BlockParagraph, 0, page, p.text)
}

// row reads a table's row.
func (r *pptxShapes) row(el xml.StartElement) error {
	if el.Name.Local != "tr" {
		return r.x.skip(el)
	}
	var cells []blocks
	err := r.x.children(func(el xml.StartElement) error {
		if el.Name.Local != "tc" || isTrue(attr(el, "hMerge")) {
			return r.x.skip(el)
		}
		if err := r.part(); err != nil {
			return err
		}
		cell, err := r.cell()
		cells = append(cells, cell)
		return err
	})
	r.slide.blocks.addRow(r.slide.number, cells)
	return err
}

func (r *pptxShapes) cell() (cell blocks, err error) {
	err = r.x.children(func(el xml.StartElement) error {
		if el.Name.Local != "txBody" {
			return r.x.skip(el)
		}
		marks, paragraphs, err := r.body()
		for _, p := range paragraphs {
			cell.addParagraph(r.slide.number, p, marks)
		}
		return err
	})
	return cell, err
}

// readDiagram reads the texts of a diagram's boxes, each an item.
func (r *pptxShapes) readDiagram(x *xmlReader, _ xml.StartElement) error {
	r.x = x
	return x.children(func(el xml.StartElement) error {
		if el.Name.Local != "ptLst" {
			return x.skip(el)
		}
		return x.children(r.box)
	})
}

func (r *pptxShapes) box(el xml.StartElement) error {
	if kind := attr(el, "type"); kind != "" && kind != "node" && kind != "asst" { // the others lay it out
		return r.x.skip(el)
	}
	return r.x.children(func(el xml.StartElement) error {
		if el.Name.Local != "t" {
			return r.x.skip(el)
		}
		_, paragraphs, err := r.body()
		for _, p := range paragraphs {
			r.slide.blocks.add(domain.BlockListItem, 0, r.slide.number, p.text)
		}
		return err
	})
}
