package textextract

import (
	"encoding/xml"
	"strconv"
	"strings"
)

const (
	odtMaxStyles  = 20_000 // more are left out; each way of setting a paragraph makes one
	odtMaxParents = 32     // styles in a chain, which may bite its own tail
)

// odtStyle is a style of paragraphs, or of sections.
type odtStyle struct {
	parent  string
	outline int // from 1: a heading
}

// odtStyles are the styles by name. The names of the built-in ones are in
// English in every edition, with "_20_" for a space.
type odtStyles map[string]odtStyle

// read fills s from the part with the styles.
func (s odtStyles) read(x *xmlReader, _ xml.StartElement) error {
	return x.children(func(el xml.StartElement) error { return s.readGroup(x, el) })
}

// readGroup reads the styles in an element of the part with the styles, or of
// the one with the text, whose own are named anew by each program.
func (s odtStyles) readGroup(x *xmlReader, el xml.StartElement) error {
	if name := el.Name.Local; name != "styles" && name != "automatic-styles" {
		return x.skip(el)
	}
	return x.children(func(el xml.StartElement) error {
		if el.Name.Local == "style" && attr(el, "family") == "paragraph" && len(s) < odtMaxStyles {
			outline, err := strconv.Atoi(attr(el, "default-outline-level"))
			if err != nil {
				outline = 0
			}
			s[attr(el, "name")] = odtStyle{attr(el, "parent-style-name"), outline}
		}
		return x.skip(el)
	})
}

// role finds what a paragraph of a style is. A level is from 1, or 0.
func (s odtStyles) role(id string) (title bool, level int) {
	for range odtMaxParents {
		name := strings.ToLower(strings.ReplaceAll(id, "_20_", " "))
		if name == "title" {
			return true, 0
		}
		style, known := s[id]
		if style.outline > 0 && style.outline < 11 {
			return false, style.outline
		}
		if m := headingName.FindStringSubmatch(name); m != nil {
			return false, int(m[1][0] - '0')
		}
		if !known {
			break
		}
		id = style.parent
	}
	return false, 0
}
