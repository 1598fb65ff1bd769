package textextract

// maxParts bounds the paragraphs and the cells of a document, empty ones too:
// each takes memory.
const maxParts = 1_000_000

// budget is what may be taken from one document.
type budget struct {
	limit int64 // bytes of text
	size  int64 // of these, taken so far
	parts int   // paragraphs and cells so far
}

// part takes a paragraph or a cell.
func (b *budget) part() error {
	if b.parts++; b.parts > maxParts {
		return tooMuchText(b.limit)
	}
	return nil
}

// spend takes text.
func (b *budget) spend(text string) error {
	if b.size += int64(len(text)); b.size > b.limit {
		return tooMuchText(b.limit)
	}
	return nil
}
