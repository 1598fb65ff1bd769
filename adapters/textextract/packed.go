package textextract

import (
	"bytes"
	"strings"

	"lectern/domain"
)

// packed is a format whose documents are archives, in the words for people.
type packed struct {
	format  domain.Format
	noun    string // what a person calls such a document
	program string // what opens one
}

func packedFormat(format domain.Format) packed {
	switch format {
	case domain.FormatDOCX:
		return packed{format, "Word document", "Word"}
	case domain.FormatPPTX:
		return packed{format, "presentation", "PowerPoint"}
	case domain.FormatXLSX:
		return packed{format, "workbook", "Excel"}
	case domain.FormatODT:
		return packed{format, "ODT document", "a word processor"}
	default:
		return packed{format, "EPUB book", "an e-book editor"}
	}
}

func (p packed) oleError(content []byte) error {
	if bytes.Contains(content, []byte(oleEncrypted)) {
		return p.encrypted()
	}
	return unreadable("this is not a .%s but a file of an older %s: open it in %s, save it as .%s and upload that",
		p.format, p.program, p.program, p.format)
}

func (p packed) encrypted() *domain.Error {
	return domain.Errorf(domain.ReasonDocumentEncrypted,
		"this %s is protected by a password: remove the password and upload it again", p.noun)
}

func (p packed) damaged(err error) error {
	return because(unreadable("this %s is damaged or incomplete: check that it opens in %s, then save it again as .%s",
		p.noun, p.program, p.format), err)
}

// other is the error of an archive that holds another format, or none if "".
func (p packed) other(found domain.Format) *domain.Error {
	if found != "" {
		return unreadable("this is not %s but %s: give its name the ending .%s and upload it again",
			article(p.noun), article(packedFormat(found).noun), found)
	}
	return unreadable("this is not %s, or one without its text: open it in %s, save it as .%s and upload that",
		article(p.noun), p.program, p.format)
}

func (p packed) tooLarge(limit int64) *domain.Error {
	return unreadable("this %s unpacks to more than %d MiB: make its pictures smaller, or split it and upload the parts", p.noun, limit>>20)
}

func (p packed) suspect(ratio int64) *domain.Error {
	return unreadable("this %s unpacks to more than %d times its size, as no ordinary one does: open it in %s and save it anew",
		p.noun, ratio, p.program)
}

func (p packed) tooSlow() *domain.Error {
	return because(unreadable("this %s takes too long to read: split it and upload the parts", p.noun), errTooSlow)
}

func article(noun string) string {
	if strings.ContainsRune("AEIOUaeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
