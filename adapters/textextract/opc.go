package textextract

import (
	"context"
	"encoding/xml"
	"path"
	"strings"

	"lectern/domain"
)

const (
	opcMaxParts   = 10_000      // named by one part; more are left out
	opcMainType   = ".main+xml" // this and the next: the ends of content types
	opcStylesType = "wordprocessingml.styles+xml"
	opcCoreType   = "core-properties+xml"
)

// opc is what an archive of Office Open XML says of its parts.
type opc struct {
	types []opcType
	main  string // the part with the text
}

// opcType is the content type of a part.
type opcType struct{ part, kind string }

// findMain reads the archive's list of content types, which names the part
// with the text; programs that leave it out use the customary name.
func (a *archive) findMain(ctx context.Context) (domain.Format, error) {
	if err := a.read(ctx, "[content_types].xml", a.readTypes); err != nil {
		return "", err
	}
	for _, t := range a.types {
		if format := mainType(t.kind); format != "" && a.files[t.part] != nil {
			a.main = t.part
			return format, nil
		}
	}
	for _, customary := range []struct {
		part   string
		format domain.Format
	}{
		{"word/document.xml", domain.FormatDOCX}, {"ppt/presentation.xml", domain.FormatPPTX}, {"xl/workbook.xml", domain.FormatXLSX},
	} {
		if a.files[customary.part] != nil {
			a.main = customary.part
			return customary.format, nil
		}
	}
	return "", nil
}

func (a *archive) readTypes(x *xmlReader, _ xml.StartElement) error {
	return x.children(func(el xml.StartElement) error {
		kind := attr(el, "ContentType")
		known := mainType(kind) != "" || strings.HasSuffix(kind, opcStylesType) || strings.HasSuffix(kind, opcCoreType)
		if el.Name.Local == "Override" && known && len(a.types) < opcMaxParts {
			a.types = append(a.types, opcType{partName(attr(el, "PartName")), kind})
		}
		return x.skip(el)
	})
}

// mainType returns the format whose main part has a content type: a
// document's, a template's, or that of either with macros.
func mainType(kind string) domain.Format {
	has := func(vendor, macros string) bool {
		return strings.Contains(kind, vendor) || strings.Contains(kind, macros)
	}
	switch {
	case !strings.HasSuffix(kind, opcMainType):
		return ""
	case has("wordprocessingml.", "ms-word."):
		return domain.FormatDOCX
	case has("presentationml.", "ms-powerpoint."):
		return domain.FormatPPTX
	case has("spreadsheetml.", "ms-excel."):
		return domain.FormatXLSX
	}
	return ""
}

// styles returns the name of the part with the styles: the one in the main
// part's folder, because the glossary has one of its own.
func (a *archive) styles() string {
	for _, t := range a.types {
		if strings.HasSuffix(t.kind, opcStylesType) && path.Dir(t.part) == path.Dir(a.main) {
			return t.part
		}
	}
	return path.Join(path.Dir(a.main), "styles.xml")
}

// properties returns the name of the part with the title.
func (a *archive) properties() string {
	for _, t := range a.types {
		if strings.HasSuffix(t.kind, opcCoreType) {
			return t.part
		}
	}
	return "docprops/core.xml"
}

// property returns the title in the document's properties, or "".
func (a *archive) property(ctx context.Context) (title string, err error) {
	err = a.read(ctx, a.properties(), func(x *xmlReader, _ xml.StartElement) error {
		return x.children(func(el xml.StartElement) error {
			if el.Name.Local != "title" {
				return x.skip(el)
			}
			title, err = x.text()
			return err
		})
	})
	return usableTitle(clean(title)), err
}

// relation is what a part says of another.
type relation struct{ kind, part string }

// relations returns those of a part by their ids, but for what is outside of
// the archive.
func (a *archive) relations(ctx context.Context, part string) (map[string]relation, error) {
	found := map[string]relation{}
	dir, base := path.Split(part)
	err := a.read(ctx, path.Join(dir, "_rels", base+".rels"), func(x *xmlReader, _ xml.StartElement) error {
		return x.children(func(el xml.StartElement) error {
			if target := attr(el, "Target"); attr(el, "TargetMode") != "External" && target != "" && len(found) < opcMaxParts {
				found[attr(el, "Id")] = relation{path.Base(attr(el, "Type")), resolve(dir, target)}
			}
			return x.skip(el)
		})
	})
	return found, err
}

// resolve returns the name of the part that a reference in a folder's part
// leads to.
func resolve(dir, target string) string {
	if strings.HasPrefix(target, "/") {
		return partName(path.Clean(target))
	}
	return partName(path.Join("/", dir, target))
}
