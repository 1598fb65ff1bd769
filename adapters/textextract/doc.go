// Package textextract reads text from PDF, DOCX, PPTX, XLSX, ODT, EPUB,
// Markdown, HTML and plain text: headings with their levels, paragraphs, list
// items, table rows and code, in reading order, without markup, page numbers
// and running headers.
//
// Documents come from strangers. PDFs are read by PDFium inside a WebAssembly
// sandbox that has no file system and no network, a fresh instance a document;
// the other formats by Go code whose every read is bounded. What cannot be
// read comes back as a [*domain.Error] that says what to do about it, and
// nothing of what the document says. Nothing is logged.
//
// It does not render, run OCR, or read images, charts, comments, footnotes,
// tracked deletions or what is hidden, and it keeps no document: storing is the blob store's part.
package textextract
