package domain

import (
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// MaxDocumentBytes bounds an uploaded document; the config may lower it.
const MaxDocumentBytes = 64 << 20

// Format is a kind of document that text can be extracted from.
type Format string

// The formats.
const (
	FormatPDF      Format = "pdf"
	FormatDOCX     Format = "docx"
	FormatPPTX     Format = "pptx"
	FormatXLSX     Format = "xlsx"
	FormatODT      Format = "odt"
	FormatEPUB     Format = "epub"
	FormatMarkdown Format = "md"
	FormatText     Format = "txt"
	FormatHTML     Format = "html"
)

// Formats returns every format.
func Formats() []Format {
	return []Format{
		FormatPDF, FormatDOCX, FormatPPTX, FormatXLSX, FormatODT, FormatEPUB, FormatMarkdown, FormatText, FormatHTML,
	}
}

// DocumentStatus says how far a document has come.
type DocumentStatus string

// The statuses.
const (
	DocumentUploaded  DocumentStatus = "uploaded"
	DocumentProcessed DocumentStatus = "processed"
	DocumentFailed    DocumentStatus = "failed" // unreadable: Error says why; the course goes on without it
)

// Document is a source of a course. Its bytes live in the blob store under
// BlobKey; its text is set once stage 2 has read it, its summary by stage 3.
type Document struct {
	ID        uuid.UUID
	CourseID  uuid.UUID
	Name      string // the file's name as the author knows it, without folders
	Format    Format
	Size      int64
	SHA256    string // hex
	BlobKey   string
	Status    DocumentStatus
	Error     string
	Text      *Text
	Summary   *Summary
	CreatedAt time.Time
}

// NewDocument checks a file's name and makes an uploaded document.
func NewDocument(id, courseID uuid.UUID, name string, format Format, size int64, sha256, blobKey string) (Document, error) {
	name, err := CleanFileName(name)
	if err != nil {
		return Document{}, err
	}
	if size <= 0 {
		return Document{}, Invalid("content", "%s is empty", name)
	}
	return Document{
		ID: id, CourseID: courseID, Name: name, Format: format, Size: size,
		SHA256: sha256, BlobKey: blobKey, Status: DocumentUploaded,
	}, nil
}

// CleanFileName returns the last element of name, or an INVALID_FIELD error
// when nothing usable is left of it.
func CleanFileName(name string) (string, error) {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	switch {
	case base == "." || base == "/" || base == "..":
		return "", Invalid("name", "must be a file name")
	case !utf8.ValidString(base) || strings.ContainsFunc(base, unicode.IsControl):
		return "", Invalid("name", "must be valid UTF-8 without control characters")
	case utf8.RuneCountInString(base) > 255:
		return "", Invalid("name", "must have at most 255 characters")
	}
	return base, nil
}

// BlockKind says what part a block plays in a text.
type BlockKind string

// The kinds of blocks.
const (
	BlockHeading   BlockKind = "heading"
	BlockParagraph BlockKind = "paragraph"
	BlockListItem  BlockKind = "list_item"
	BlockTableRow  BlockKind = "table_row" // cells joined by " | "
	BlockCode      BlockKind = "code"
)

// Block is a run of text with one role, free of markup, trimmed, valid UTF-8.
type Block struct {
	Kind  BlockKind `json:"kind"`
	Level int       `json:"level,omitempty"` // of a heading: 1 is the highest; of a list item: how many items it stands under
	Page  int       `json:"page,omitempty"`  // from 1, where the format has pages or slides
	Text  string    `json:"text"`
}

// Text is what was read from a document, in reading order.
type Text struct {
	Title  string  `json:"title,omitempty"` // the document's own, if it names one
	Blocks []Block `json:"blocks"`
}

// Summary is an extractive summary of one document.
type Summary struct {
	Text       string   `json:"text"`
	KeyPhrases []string `json:"key_phrases"` // most telling first
}
