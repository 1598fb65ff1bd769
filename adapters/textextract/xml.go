package textextract

import (
	"context"
	"encoding/xml"
	"errors"
)

const (
	xmlMaxDepth = 256     // of elements within elements; a text box takes a dozen
	xmlMaxToken = 4 << 20 // bytes of a tag or a run of text, which is held in memory; pictures in attributes take the most
)

var (
	errDeepXML   = errors.New("elements are nested too deeply")
	errLongToken = errors.New("a tag or a run of text is too long")
)

// xmlReader reads one part element by element. Elements are told by their local
// names: the namespaces differ between the editions of the standards.
type xmlReader struct {
	ctx     context.Context
	decoder *xml.Decoder
	depth   int
}

func (x *xmlReader) element(visit func(*xmlReader, xml.StartElement) error) error {
	for {
		token, err := x.decoder.Token()
		if err != nil {
			return err
		}
		if el, ok := token.(xml.StartElement); ok {
			return visit(x, el)
		}
	}
}

// children calls visit for each element within the present one, and returns
// after its end. visit must read what it is given to the end: by children,
// text or skip.
func (x *xmlReader) children(visit func(xml.StartElement) error) error {
	return x.content(visit, func(xml.CharData) {})
}

// text returns the characters of the present element.
func (x *xmlReader) text() (string, error) {
	var out []byte
	err := x.content(x.skip, func(chars xml.CharData) { out = append(out, chars...) })
	return string(out), err
}

// skip reads the present element to its end.
func (x *xmlReader) skip(xml.StartElement) error { return x.children(x.skip) }

func (x *xmlReader) content(visit func(xml.StartElement) error, chars func(xml.CharData)) error {
	if x.depth++; x.depth > xmlMaxDepth {
		return errDeepXML
	}
	defer func() { x.depth-- }()
	for {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		token, err := x.decoder.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.EndElement:
			return nil
		case xml.CharData:
			chars(t)
		case xml.StartElement:
			if err := visit(t); err != nil {
				return err
			}
		}
	}
}

// attr returns an attribute's value, or "".
func attr(el xml.StartElement, name string) string {
	for _, a := range el.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// isTrue tells whether an attribute of Office Open XML says yes.
func isTrue(value string) bool { return value == "1" || value == "true" }
