package textextract

import (
	"encoding/xml"
	"strconv"
	"strings"
)

// pptxPlace is what a shape says of itself.
type pptxPlace struct {
	kind   string // of its placeholder
	index  string // of its placeholder in the layout
	holder bool   // it fills a placeholder
	hidden bool
}

// read reads an element of a shape's properties that are not its looks.
func (p *pptxPlace) read(x *xmlReader, el xml.StartElement) error {
	switch el.Name.Local {
	case "cNvPr":
		p.hidden = isTrue(attr(el, "hidden"))
	case "nvPr":
		return x.children(func(el xml.StartElement) error { return p.read(x, el) })
	case "ph":
		p.holder, p.kind, p.index = true, attr(el, "type"), attr(el, "idx")
	}
	return x.skip(el)
}

func (p pptxPlace) isTitle() bool { return p.kind == "title" || p.kind == "ctrTitle" }

// isBody tells the placeholders whose paragraphs have bullets unless something
// says otherwise.
func (p pptxPlace) isBody() bool {
	return p.holder && (p.kind == "" || p.kind == "obj" || p.kind == "body")
}

// isFurniture tells what every slide repeats.
func (p pptxPlace) isFurniture() bool {
	switch p.kind {
	case "dt", "ftr", "hdr", "sldNum", "sldImg":
		return true
	}
	return false
}

// mark tells whether a paragraph has a bullet or a number.
type mark int

const (
	unsaid mark = iota
	marked
	unmarked
)

const maxListLevels = 9

// bullets are the marks of a text's levels.
type bullets [maxListLevels]mark

// or returns b, with what it leaves unsaid from another.
func (b bullets) or(other bullets) bullets {
	for i := range b {
		if b[i] == unsaid {
			b[i] = other[i]
		}
	}
	return b
}

// read reads an element of a list's styles.
func (b *bullets) read(x *xmlReader, el xml.StartElement) error {
	level, found := strings.CutPrefix(el.Name.Local, "lvl")
	level, ok := strings.CutSuffix(level, "pPr")
	n, err := strconv.Atoi(level)
	if !found || !ok || err != nil || n < 1 || n > maxListLevels {
		return x.skip(el)
	}
	return b[n-1].read(x)
}

// read reads the properties of a paragraph.
func (m *mark) read(x *xmlReader) error {
	return x.children(func(el xml.StartElement) error {
		switch el.Name.Local {
		case "buNone":
			*m = unmarked
		case "buChar", "buAutoNum", "buBlip":
			*m = marked
		}
		return x.skip(el)
	})
}

// pptxParagraph is a line of a shape's text.
type pptxParagraph struct {
	text  string
	level int // from 0
	mark  mark
}

// body reads the present element's paragraphs, and what it says of its bullets.
func (r *pptxShapes) body() (own bullets, paragraphs []pptxParagraph, err error) {
	err = r.x.children(func(el xml.StartElement) error {
		switch el.Name.Local {
		case "lstStyle":
			return r.x.children(func(el xml.StartElement) error { return own.read(r.x, el) })
		case "p":
			p, err := r.paragraph()
			paragraphs = append(paragraphs, p)
			return err
		}
		return r.x.skip(el)
	})
	return own, paragraphs, err
}

func (r *pptxShapes) paragraph() (p pptxParagraph, err error) {
	if err := r.part(); err != nil {
		return p, err
	}
	var text strings.Builder
	err = r.x.children(func(el xml.StartElement) error {
		if el.Name.Local == "pPr" {
			if n, err := strconv.Atoi(attr(el, "lvl")); err == nil && n > 0 && n < maxListLevels {
				p.level = n
			}
			return p.mark.read(r.x)
		}
		return r.inline(&text, el)
	})
	p.text = clean(text.String())
	return p, err
}

// inline reads an element within a paragraph.
func (r *pptxShapes) inline(text *strings.Builder, el xml.StartElement) error {
	kind := attr(el, "type")
	switch name := el.Name.Local; {
	case name == "t":
		s, err := r.x.text()
		if err != nil {
			return err
		}
		text.WriteString(s)
		return r.spend(s)
	case name == "br":
		text.WriteByte(' ')
		return r.x.skip(el)
	case name == "rPr", name == "endParaRPr", name == "Fallback",
		name == "fld" && (kind == "slidenum" || strings.HasPrefix(kind, "datetime")):
		return r.x.skip(el)
	}
	return r.x.children(func(el xml.StartElement) error { return r.inline(text, el) })
}
