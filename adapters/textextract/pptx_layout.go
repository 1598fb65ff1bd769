package textextract

import (
	"context"
	"encoding/xml"
)

// pptxLayout is what a slide takes over from its layout.
type pptxLayout struct {
	divides      bool               // it is that of a section's header
	placeholders map[string]bullets // by index
	master       bullets
}

// marks returns the bullets of a placeholder that says nothing of its own.
func (l pptxLayout) marks(at pptxPlace) bullets {
	return l.placeholders[at.index].or(l.master).or(bullets{marked, marked, marked, marked, marked, marked, marked, marked, marked})
}

// layout reads a layout and the bullets of its master, once each.
func (d *pptxDeck) layout(ctx context.Context, part string) (pptxLayout, error) {
	if l, ok := d.layouts[part]; ok {
		return l, nil
	}
	related, err := d.relations(ctx, part)
	if err != nil {
		return pptxLayout{}, err
	}
	l := pptxLayout{placeholders: map[string]bullets{}}
	if err := d.read(ctx, part, l.read); err != nil {
		return pptxLayout{}, err
	}
	if err := d.read(ctx, firstOf(related, relMaster), l.readMaster); err != nil {
		return pptxLayout{}, err
	}
	d.layouts[part] = l
	return l, nil
}

func (l *pptxLayout) read(x *xmlReader, el xml.StartElement) error {
	l.divides = attr(el, "type") == "secHead"
	return x.children(func(el xml.StartElement) error { return l.shape(x, el) })
}

func (l *pptxLayout) shape(x *xmlReader, el xml.StartElement) error {
	switch el.Name.Local {
	case "cSld", "spTree":
		return x.children(func(el xml.StartElement) error { return l.shape(x, el) })
	case "sp":
		return l.placeholder(x)
	}
	return x.skip(el)
}

func (l *pptxLayout) placeholder(x *xmlReader) error {
	var at pptxPlace
	var marks bullets
	err := x.children(func(el xml.StartElement) error {
		switch el.Name.Local {
		case "nvSpPr":
			return x.children(func(el xml.StartElement) error { return at.read(x, el) })
		case "txBody":
			return marks.readStyles(x, "lstStyle")
		}
		return x.skip(el)
	})
	if at.holder && len(l.placeholders) < opcMaxParts {
		l.placeholders[at.index] = marks
	}
	return err
}

// readMaster reads the bullets that the master gives to bodies of text.
func (l *pptxLayout) readMaster(x *xmlReader, _ xml.StartElement) error {
	return x.children(func(el xml.StartElement) error {
		if el.Name.Local != "txStyles" {
			return x.skip(el)
		}
		return l.master.readStyles(x, "bodyStyle")
	})
}

// readStyles reads the styles of a list in a child of the present element.
func (b *bullets) readStyles(x *xmlReader, name string) error {
	return x.children(func(el xml.StartElement) error {
		if el.Name.Local != name {
			return x.skip(el)
		}
		return x.children(func(el xml.StartElement) error { return b.read(x, el) })
	})
}
