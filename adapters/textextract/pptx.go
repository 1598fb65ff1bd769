package textextract

import (
	"context"
	"encoding/xml"
	"strings"

	"lectern/domain"
)

// The kinds of the relations that are followed.
const (
	relSlide   = "slide"
	relLayout  = "slideLayout"
	relMaster  = "slideMaster"
	relNotes   = "notesSlide"
	relDiagram = "diagramData"
)

// extractPPTX reads a presentation's text slide by slide: titles as headings,
// bullets with their levels, tables and diagrams. Without hidden slides,
// footers, dates, numbers, comments, what stands in the master, and, unless
// they are asked for, the speaker's notes.
func extractPPTX(ctx context.Context, a *archive, o Options) (domain.Text, error) {
	deck := pptxDeck{archive: a, budget: budget{limit: o.MaxTextBytes}, layouts: map[string]pptxLayout{}}
	parts, err := deck.order(ctx)
	if err != nil {
		return domain.Text{}, err
	}
	if len(parts) > o.MaxPages {
		return domain.Text{}, unreadable("this presentation has %d slides, the limit is %d: split it and upload the parts", len(parts), o.MaxPages)
	}
	var slides []pptxSlide
	for i, part := range parts {
		slide, err := deck.slide(ctx, part, i+1, o.SpeakerNotes)
		if err != nil {
			return domain.Text{}, err
		}
		if !slide.hidden {
			slides = append(slides, slide)
		}
	}
	title, out := compileSlides(slides)
	if title == "" {
		if title, err = a.property(ctx); err != nil {
			return domain.Text{}, err
		}
		title = out.title(title)
	}
	return domain.Text{Title: title, Blocks: out}, nil
}

// pptxDeck reads the parts of a presentation.
type pptxDeck struct {
	*archive
	budget
	layouts map[string]pptxLayout // read so far, by part
}

// order returns the slides' parts in the order in which they are shown.
func (d *pptxDeck) order(ctx context.Context) ([]string, error) {
	related, err := d.relations(ctx, d.main)
	if err != nil {
		return nil, err
	}
	var parts []string
	err = d.read(ctx, d.main, func(x *xmlReader, _ xml.StartElement) error {
		return x.children(func(el xml.StartElement) error {
			if el.Name.Local != "sldIdLst" {
				return x.skip(el)
			}
			return x.children(func(el xml.StartElement) error {
				if slide := related[relationID(el)]; slide.kind == relSlide && len(parts) < opcMaxParts {
					parts = append(parts, slide.part)
				}
				return x.skip(el)
			})
		})
	})
	return parts, err
}

// relationID returns the relation that an element names: its other id has no
// namespace.
func relationID(el xml.StartElement) string {
	for _, a := range el.Attr {
		if a.Name.Local == "id" && a.Name.Space != "" {
			return a.Value
		}
	}
	return ""
}

// compileSlides makes one text of the slides. A first slide that is a title
// page gives the title; where further ones divide the deck, or section headers
// do, the other slides stand under them.
func compileSlides(slides []pptxSlide) (title string, out blocks) {
	below := 1
	for i, s := range slides {
		switch {
		case i == 0 && s.divides:
			title = s.title
		case s.divides && s.title != "":
			below = 2
		}
	}
	last := ""
	for i, s := range slides {
		switch key := titleKey(s.title); {
		case i == 0 && s.divides:
		case s.divides:
			out.add(domain.BlockHeading, 1, s.number, s.title)
			last = key
		case key == "" || key != last: // the second of two with one title goes on
			out.add(domain.BlockHeading, below, s.number, s.title)
			last = key
		}
		out = append(out, s.blocks...)
	}
	return title, out
}

// titleOf joins the lines that a title was broken into.
func titleOf(paragraphs []pptxParagraph) string {
	lines := make([]string, len(paragraphs))
	for i, p := range paragraphs {
		lines[i] = p.text
	}
	return clean(strings.Join(lines, " "))
}
