package textextract

import (
	"context"
	"encoding/xml"
	"path"
	"strings"
)

// The ends of the content types of the parts that are read.
const (
	docxMainType   = ".main+xml"
	docxStylesType = "wordprocessingml.styles+xml"
	docxCoreType   = "core-properties+xml"
)

// docxType is the content type of a part.
type docxType struct{ part, kind string }

// findMain reads the archive's list of content types, which names the part
// with the text; programs that leave it out use the customary name.
func (a *docxArchive) findMain() error {
	err := a.read(context.Background(), "[content_types].xml", a.readTypes)
	if err != nil {
		return err
	}
	a.main = "word/document.xml"
	for _, t := range a.types {
		if isMainType(t.kind) && a.files[t.part] != nil {
			a.main = t.part
			break
		}
	}
	if a.files[a.main] == nil {
		return unreadable("this is not a Word document, or one without its text: open it in Word, save it as .docx and upload that")
	}
	return nil
}

func (a *docxArchive) readTypes(x *docxXML, _ xml.StartElement) error {
	return x.children(func(el xml.StartElement) error {
		kind := attr(el, "ContentType")
		if el.Name.Local == "Override" && (isMainType(kind) || strings.HasSuffix(kind, docxStylesType) || strings.HasSuffix(kind, docxCoreType)) {
			a.types = append(a.types, docxType{partName(attr(el, "PartName")), kind})
		}
		return x.skip(el)
	})
}

// isMainType tells a document's, a template's, or that of either with macros.
func isMainType(kind string) bool {
	return strings.HasSuffix(kind, docxMainType) &&
		(strings.Contains(kind, "wordprocessingml.") || strings.Contains(kind, "ms-word."))
}

// styles returns the name of the part with the styles: the one in the main
// part's folder, because the glossary has one of its own.
func (a *docxArchive) styles() string {
	for _, t := range a.types {
		if strings.HasSuffix(t.kind, docxStylesType) && path.Dir(t.part) == path.Dir(a.main) {
			return t.part
		}
	}
	return path.Join(path.Dir(a.main), "styles.xml")
}

// properties returns the name of the part with the title.
func (a *docxArchive) properties() string {
	for _, t := range a.types {
		if strings.HasSuffix(t.kind, docxCoreType) {
			return t.part
		}
	}
	return "docprops/core.xml"
}
