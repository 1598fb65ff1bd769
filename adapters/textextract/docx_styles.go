package textextract

import (
	"encoding/xml"
	"regexp"
	"strconv"
	"strings"
)

const (
	docxMaxStyles  = 10_000 // more are left out; Word itself stops at 4079
	docxMaxBasedOn = 32     // styles in a chain, which may bite its own tail
)

// headingName matches the names of the built-in styles, which are in English
// in every edition of Word, and what some other programs make of them.
var headingName = regexp.MustCompile(`^(?:heading|заголовок)\s*([1-9])$`)

// docxFormat is what a paragraph or a style says of itself.
type docxFormat struct {
	style   string // a paragraph's; what a style is based on
	outline string // 0 to 8: a heading, 9: none
	list    string // "0": none
	depth   string // of the list's items within others: 0 to 8
}

// docxStyle is a style of paragraphs.
type docxStyle struct {
	docxFormat
	name string // lower case
}

// docxRole is what a paragraph is. At most one of level, title, contents and
// item is set.
type docxRole struct {
	level    int  // of a heading
	title    bool // of the document
	contents bool // an entry of the table of contents
	item     bool // of a list
	depth    int  // of an item within others
}

type docxStyles map[string]docxStyle

// read fills s from the part with the styles.
func (s docxStyles) read(x *xmlReader, _ xml.StartElement) error {
	return x.children(func(el xml.StartElement) error {
		kind := attr(el, "type")
		if el.Name.Local != "style" || kind != "" && kind != "paragraph" || len(s) >= docxMaxStyles {
			return x.skip(el)
		}
		style, err := readStyle(x)
		if err == nil {
			s[attr(el, "styleId")] = style
		}
		return err
	})
}

func readStyle(x *xmlReader) (style docxStyle, err error) {
	err = x.children(func(el xml.StartElement) error {
		switch el.Name.Local {
		case "name":
			style.name = strings.ToLower(clean(attr(el, "val")))
		case "basedOn":
			style.style = attr(el, "val")
		case "pPr":
			return style.read(x)
		}
		return x.skip(el)
	})
	return style, err
}

// read reads the properties of a paragraph or of a style's paragraphs.
func (f *docxFormat) read(x *xmlReader) error {
	return x.children(func(el xml.StartElement) error {
		switch el.Name.Local {
		case "pStyle":
			f.style = attr(el, "val")
		case "outlineLvl":
			f.outline = attr(el, "val")
		case "numPr":
			return f.readList(x)
		}
		return x.skip(el)
	})
}

func (f *docxFormat) readList(x *xmlReader) error {
	return x.children(func(el xml.StartElement) error {
		switch el.Name.Local {
		case "numId":
			f.list = attr(el, "val")
		case "ilvl":
			f.depth = attr(el, "val")
		}
		return x.skip(el)
	})
}

// role finds what a paragraph is: by what it says of itself, else by its
// style, else by those that this is based on.
func (s docxStyles) role(f docxFormat) docxRole {
	role, outlined := f.heading(""), f.outline != ""
	list, depth := f.list, f.depth
	id := f.style
	for range docxMaxBasedOn {
		if id == "" {
			break
		}
		style := s.style(id)
		if strings.HasPrefix(style.name, "toc ") {
			return docxRole{contents: true}
		}
		if !outlined {
			role = style.heading(style.name)
			outlined = style.outline != "" || role != docxRole{}
		}
		if list == "" {
			list = style.listed()
		}
		if depth == "" {
			depth = style.depth
		}
		id = style.style
	}
	if role == (docxRole{}) && list != "" && list != "0" {
		role.item, role.depth = true, docxDepth(depth)
	}
	return role
}

// style returns the style of an id. Where the document defines none, the id
// is taken for the name, which it is for the built-in ones but for spaces.
func (s docxStyles) style(id string) docxStyle {
	if style, ok := s[id]; ok {
		return style
	}
	return docxStyle{name: strings.ToLower(id)}
}

// heading returns the role by the outline level or, without one, by the name.
func (f docxFormat) heading(name string) docxRole {
	if level, err := strconv.Atoi(f.outline); err == nil && level >= 0 && level < 9 {
		return docxRole{level: level + 1}
	}
	if f.outline != "" {
		return docxRole{}
	}
	if name == "title" {
		return docxRole{title: true}
	}
	if m := headingName.FindStringSubmatch(name); m != nil {
		return docxRole{level: int(m[1][0] - '0')}
	}
	return docxRole{}
}

// docxDepth reads a list's level; what is out of bounds stands at the top.
func docxDepth(level string) int {
	if n, err := strconv.Atoi(level); err == nil && n > 0 && n < 9 {
		return n
	}
	return 0
}

// listed returns the list that a style puts its paragraphs in; "any" where
// its name alone says so.
func (style docxStyle) listed() string {
	if style.list == "" && strings.HasPrefix(style.name, "list") {
		return "any"
	}
	return style.list
}
