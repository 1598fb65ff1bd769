package textextract

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

const (
	docxMaxDepth = 256     // of elements within elements; a text box takes a dozen
	docxMaxToken = 4 << 20 // bytes of a tag or a run of text, which is held in memory; pictures in attributes take the most
)

var (
	errDeepXML   = errors.New("elements are nested too deeply")
	errLongToken = errors.New("a tag or a run of text is too long")
)

// docxXML reads one part element by element. Elements are told by their local
// names: the namespaces differ between the two editions of the standard.
type docxXML struct {
	ctx     context.Context
	decoder *xml.Decoder
	depth   int
}

// read calls visit with the part's outermost element; not at all where there
// is no such part.
func (a *docxArchive) read(ctx context.Context, name string, visit func(*docxXML, xml.StartElement) error) error {
	file := a.files[name]
	if file == nil {
		return nil
	}
	unpacked, err := file.Open()
	if err != nil {
		return damagedDOCX(err)
	}
	defer func() { _ = unpacked.Close() }() // it has nothing left to report
	part := &docxPart{unpacked: unpacked, archive: a}
	x := &docxXML{ctx: ctx, decoder: xml.NewDecoder(part)}
	err = x.element(visit)
	if err == nil {
		_, err = io.Copy(io.Discard, part) // the checksum is compared at the end
	}
	switch {
	case errors.Is(context.Cause(ctx), errTooSlow):
		return because(unreadable("this Word document takes too long to read: split it and upload the parts"), errTooSlow)
	case ctx.Err() != nil:
		return fmt.Errorf("read DOCX: %w", context.Cause(ctx))
	case err == nil, isDomainError(err):
		return err
	}
	return damagedDOCX(err)
}

func (x *docxXML) element(visit func(*docxXML, xml.StartElement) error) error {
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
func (x *docxXML) children(visit func(xml.StartElement) error) error {
	return x.content(visit, func(xml.CharData) {})
}

// text returns the characters of the present element.
func (x *docxXML) text() (string, error) {
	var out []byte
	err := x.content(x.skip, func(chars xml.CharData) { out = append(out, chars...) })
	return string(out), err
}

// skip reads the present element to its end.
func (x *docxXML) skip(xml.StartElement) error { return x.children(x.skip) }

func (x *docxXML) content(visit func(xml.StartElement) error, chars func(xml.CharData)) error {
	if x.depth++; x.depth > docxMaxDepth {
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

// docxPart reads a part within the archive's limits.
type docxPart struct {
	unpacked io.Reader
	archive  *docxArchive
	run      int // bytes since the last "<"
}

// Read implements io.Reader.
func (p *docxPart) Read(buf []byte) (int, error) {
	n, err := p.unpacked.Read(buf)
	if at := bytes.LastIndexByte(buf[:n], '<'); at >= 0 {
		p.run = n - at
	} else {
		p.run += n
	}
	p.archive.left -= int64(n)
	switch {
	case p.archive.left < 0:
		return 0, tooMuchUnpacked(p.archive.limit)
	case p.run > docxMaxToken:
		return 0, damagedDOCX(errLongToken)
	}
	return n, err
}
