// Package textextract reads text from PDF, DOCX, Markdown, HTML and plain text:
// headings with their levels, paragraphs, list items, table rows and code, in
// reading order, without markup, page numbers and running headers.
//
// Documents come from strangers. PDFs are read by PDFium inside a WebAssembly
// sandbox that has no file system and no network, a fresh instance a document;
// the other formats by Go code whose every read is bounded. What cannot be
// read comes back as a [*domain.Error] that says what to do about it.
//
// It does not render, run OCR, or read images, comments, footnotes or
// tracked deletions, and it keeps no document: storing is the blob store's part.
package textextract
