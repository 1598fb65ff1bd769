package textextract

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/gabriel-vasile/mimetype"

	"lectern/domain"
)

const (
	pdfMagic     = "%PDF-"
	supported    = "upload PDF, DOCX, PPTX, XLSX, ODT, EPUB, Markdown (.md), HTML or plain text (.txt)"
	maxPDFHeader = 1024 // bytes that may precede a PDF's signature, as readers allow
)

func (e *Extractor) checkSize(content []byte) error {
	if int64(len(content)) > e.opts.MaxBytes {
		return domain.Errorf(domain.ReasonDocumentTooLarge,
			"the document has %d bytes, the limit is %d: split it and upload the parts", len(content), e.opts.MaxBytes)
	}
	return nil
}

// checkTextSize bounds the formats that are text as they are.
func (e *Extractor) checkTextSize(content []byte) error {
	if int64(len(content)) > e.opts.MaxTextBytes {
		return tooMuchText(e.opts.MaxTextBytes)
	}
	return nil
}

func tooMuchText(limit int64) *domain.Error {
	return domain.Errorf(domain.ReasonDocumentTooLarge,
		"there are more than %d bytes of text in this document: split it and upload the parts", limit)
}

// detect tells the format. The name says what was meant, the content whether
// it is that; without an extension the content decides alone.
func (e *Extractor) detect(ctx context.Context, name string, content []byte) (domain.Format, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return "", unreadable("the document is empty: check that it was saved, then upload it again")
	}
	switch ext := strings.ToLower(path.Ext(strings.ReplaceAll(name, `\`, "/"))); ext {
	case ".pdf":
		return detectPDF(content)
	case ".docx", ".pptx", ".xlsx", ".odt", ".epub":
		return detectPacked(domain.Format(ext[1:]), content)
	case ".md", ".markdown":
		return detectText(ext, domain.FormatMarkdown, content)
	case ".html", ".htm", ".xhtml":
		return detectText(ext, domain.FormatHTML, content)
	case ".txt", ".text":
		return detectText(ext, domain.FormatText, content)
	case "", ".":
		return e.detectContent(ctx, content)
	default:
		return "", domain.Errorf(domain.ReasonUnsupportedFormat, "%s files are not supported: %s", ext, advice(ext))
	}
}

func detectPDF(content []byte) (domain.Format, error) {
	if bytes.Contains(content[:min(len(content), maxPDFHeader)], []byte(pdfMagic)) {
		return domain.FormatPDF, nil
	}
	return "", unreadable("the document is named .pdf but is not a PDF (it looks like %s): export it again from the program it was made with",
		mimetype.Detect(content))
}

// detectPacked leaves it to openAs to look into the archive, and to say what
// is wrong with an OLE file: an old Office's, or a document under a password.
func detectPacked(format domain.Format, content []byte) (domain.Format, error) {
	if bytes.HasPrefix(content, []byte(zipMagic)) || bytes.HasPrefix(content, []byte(oleMagic)) {
		return format, nil
	}
	return "", unreadable("the document is named .%s but is not one (it looks like %s): save it again as .%s",
		format, mimetype.Detect(content), format)
}

func isPacked(format domain.Format) bool {
	switch format {
	case domain.FormatDOCX, domain.FormatPPTX, domain.FormatXLSX, domain.FormatODT, domain.FormatEPUB:
		return true
	default:
		return false
	}
}

func detectText(ext string, format domain.Format, content []byte) (domain.Format, error) {
	found := mimetype.Detect(content)
	if !isText(content) || bytes.HasPrefix(content, []byte(pdfMagic)) || found.Is("text/rtf") {
		return "", domain.Errorf(domain.ReasonUnsupportedFormat,
			"the document is named %s but is not text (it looks like %s): give it its right extension, or %s", ext, found, supported)
	}
	return format, nil
}

func (e *Extractor) detectContent(ctx context.Context, content []byte) (domain.Format, error) {
	if bytes.HasPrefix(content, []byte(zipMagic)) {
		if format, err := packedKind(ctx, content, e.opts); format != "" || err != nil {
			return format, err
		}
	}
	found := mimetype.Detect(content)
	switch {
	case bytes.HasPrefix(content, []byte(pdfMagic)):
		return domain.FormatPDF, nil
	case found.Is("text/html") && isText(content):
		return domain.FormatHTML, nil
	case isText(content) && !found.Is("text/rtf"):
		return domain.FormatText, nil
	}
	return "", domain.Errorf(domain.ReasonUnsupportedFormat, "files of type %s are not supported: %s", found, supported)
}

// isText tells whether there are no bytes in content that no text has.
func isText(content []byte) bool {
	if _, _, ok := cutBOM(content); ok || unmarkedUTF16(content) != nil {
		return true
	}
	return !bytes.ContainsFunc(content, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' && r != '\v' && r != 0x1a && r != 0x1b
	})
}

// advice says what to do with a file that cannot be taken.
func advice(ext string) string {
	switch ext {
	case ".doc", ".docm", ".dot", ".dotx", ".rtf", ".pages", ".wps", ".fodt", ".ott", ".wpd":
		return "open it in a word processor and save it as .docx"
	case ".ppt", ".pptm", ".pps", ".ppsx", ".potx", ".odp", ".key":
		return "open it in the program it was made with and save it as .pptx"
	case ".xls", ".xlsm", ".xlsb", ".xltx", ".ods", ".numbers", ".csv", ".tsv":
		return "open it in a spreadsheet program and save it as .xlsx"
	case ".fb2", ".mobi", ".azw", ".azw3":
		return "convert it to .epub"
	case ".djvu":
		return "export it as PDF, or " + supported
	case ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".svg":
		return "run OCR (text recognition) on the picture and upload the text"
	case ".zip", ".rar", ".7z", ".gz", ".tar", ".tgz":
		return "unpack it and upload the documents in it"
	}
	return supported
}
