package textextract_test

import (
	"bytes"
	"strings"
	"testing"

	"lectern/adapters/textextract"
	"lectern/domain"
)

const (
	exeBytes = "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8\x00\x00\x00"
	oleBytes = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	zipBytes = "PK\x03\x04\x14\x00\x00\x00\x00\x00"
	pngBytes = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
)

func utf16z(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
		b.WriteByte(0)
	}
	return b.String()
}

func TestWhatCanBeReadIsToldByNameAndContent(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	for _, tt := range []struct {
		name, content string
		want          domain.Format
	}{
		{"notes.md", "# A\n", domain.FormatMarkdown},
		{"NOTES.MARKDOWN", "# A\n", domain.FormatMarkdown},
		{"page.htm", "<p>a</p>", domain.FormatHTML},
		{"notes.txt", "plain", domain.FormatText},
		{"MZ.txt", "MZ was a brand of motorcycles", domain.FormatText},
		{"notes", "plain words", domain.FormatText},
		{"page", "<!DOCTYPE html><html><body>a</body></html>", domain.FormatHTML},
		{"a.pdf", string(readFile(t, "testdata/plain.pdf")), domain.FormatPDF},
		{"A.PDF", string(readFile(t, "testdata/plain.pdf")), domain.FormatPDF},
	} {
		got, err := e.Inspect(t.Context(), tt.name, []byte(tt.content))
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestWhatCannotBeReadIsRefusedWithAdvice(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	sample := string(readFile(t, samples+"/04-consultative-selling.pdf"))
	for _, tt := range []struct {
		about, name, content string
		want                 domain.Reason
		says                 string
	}{
		{"garbage", "a.pdf", "this is no such thing", domain.ReasonDocumentUnreadable, "named .pdf"},
		{"a PDF cut short", "a.pdf", sample[:200], domain.ReasonDocumentUnreadable, "again"},
		{"a PDF of pictures", "a.pdf", string(readFile(t, "testdata/no-text.pdf")), domain.ReasonDocumentUnreadable, "OCR"},
		{"a PDF under a password", "a.pdf", string(readFile(t, "testdata/encrypted.pdf")), domain.ReasonDocumentEncrypted, "password"},
		{"a DOCX under a password", "a.docx", oleBytes + strings.Repeat("\x00", 600) + utf16z("EncryptedPackage"), domain.ReasonDocumentEncrypted, "password"},
		{"words named DOCX", "a.docx", "words", domain.ReasonDocumentUnreadable, ".docx"},
		{"a program", "a.exe", exeBytes, domain.ReasonUnsupportedFormat, "PDF"},
		{"a workbook cut short", "a.xlsx", zipBytes, domain.ReasonDocumentUnreadable, "Excel"},
		{"an old Excel's", "a.xls", oleBytes, domain.ReasonUnsupportedFormat, ".xlsx"},
		{"an old PowerPoint's", "a.ppt", oleBytes, domain.ReasonUnsupportedFormat, ".pptx"},
		{"an old Word's", "a.doc", oleBytes, domain.ReasonUnsupportedFormat, ".docx"},
		{"a writer's cut short", "a.odt", zipBytes, domain.ReasonDocumentUnreadable, "word processor"},
		{"a picture", "a.png", pngBytes, domain.ReasonUnsupportedFormat, "OCR"},
		{"an archive", "a.zip", zipBytes, domain.ReasonUnsupportedFormat, "unpack"},
	} {
		t.Run(tt.about, func(t *testing.T) {
			_, err := e.Inspect(t.Context(), tt.name, []byte(tt.content))
			if domain.ReasonOf(err) != tt.want || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v (%s), want %s saying %q", err, domain.ReasonOf(err), tt.want, tt.says)
			}
		})
	}
}

func TestBytesThatAreNoTextAreRefusedUnderATextsName(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	for _, name := range []string{"a.txt", "a.md", "a.html"} {
		format, err := e.Inspect(t.Context(), name, []byte(exeBytes+strings.Repeat("\x00\x01", 300)))
		if err == nil {
			_, err = e.Extract(t.Context(), format, []byte(exeBytes+strings.Repeat("\x00\x01", 300)))
		}
		if domain.ReasonOf(err) == "" {
			t.Errorf("%s: %v, want a reason", name, err)
		}
	}
}

func TestNothingIsReadPastTheLimits(t *testing.T) {
	small := newExtractor(t, textextract.Options{MaxBytes: 100})
	_, err := small.Inspect(t.Context(), "a.txt", bytes.Repeat([]byte("a"), 101))
	if domain.ReasonOf(err) != domain.ReasonDocumentTooLarge {
		t.Errorf("past MaxBytes: %v", err)
	}
	terse := newExtractor(t, textextract.Options{MaxTextBytes: 10})
	for _, tt := range []struct {
		format  domain.Format
		content []byte
	}{
		{domain.FormatText, []byte("more than ten bytes")},
		{domain.FormatPDF, readFile(t, "testdata/plain.pdf")},
	} {
		if _, err := terse.Extract(t.Context(), tt.format, tt.content); domain.ReasonOf(err) != domain.ReasonDocumentTooLarge {
			t.Errorf("%s past MaxTextBytes: %v", tt.format, err)
		}
	}
}

func TestADocumentWithoutTextIsUnreadable(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	for _, format := range []domain.Format{domain.FormatText, domain.FormatMarkdown, domain.FormatHTML} {
		for _, content := range []string{"", " \n\n"} {
			if _, err := e.Extract(t.Context(), format, []byte(content)); domain.ReasonOf(err) != domain.ReasonDocumentUnreadable {
				t.Errorf("%s of %q: %v", format, content, err)
			}
		}
	}
}
