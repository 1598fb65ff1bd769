package ports

import (
	"context"
	"io"

	"lectern/domain"
)

// Blobs keeps the bytes of documents. UNAVAILABLE while what keeps them can't be
// reached; INVALID_FIELD for a key that [CheckKey] refuses.
type Blobs interface {
	// Put stores what r yields under key, whole or not at all, and returns its
	// size and SHA-256 in hex. DOCUMENT_TOO_LARGE past limit bytes.
	Put(ctx context.Context, key string, r io.Reader, limit int64) (size int64, sha256 string, err error)

	// Get returns the bytes under key, or DOCUMENT_NOT_FOUND.
	Get(ctx context.Context, key string) ([]byte, error)

	// Delete removes key; a key that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// Extractor reads text from documents that strangers made: whatever the bytes,
// it returns within its limits of time and memory.
type Extractor interface {
	// Inspect tells a document's format from its name and content, cheaply.
	// UNSUPPORTED_FORMAT, DOCUMENT_UNREADABLE or DOCUMENT_ENCRYPTED, with a
	// message that says what to do, for what could not be extracted anyway.
	Inspect(ctx context.Context, name string, content []byte) (domain.Format, error)

	// Extract returns the text in reading order, headings marked as such,
	// page numbers and running headers left out. The errors of Inspect, and
	// DOCUMENT_UNREADABLE when there is no text in it.
	Extract(ctx context.Context, format domain.Format, content []byte) (domain.Text, error)
}
