package textextract

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"lectern/domain"
)

// clean makes one line of s: valid UTF-8 in NFC, every run of white space one
// space, without control, zero-width and soft hyphen characters.
func clean(s string) string {
	s = strings.Map(keepRune, strings.ToValidUTF8(s, ""))
	return norm.NFC.String(strings.Join(strings.Fields(s), " "))
}

// cleanCode is clean for each line of a piece of code, indentation kept. Line
// feeds are the only control characters that it leaves.
func cleanCode(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\t", "    ").Replace(strings.ToValidUTF8(s, ""))
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		line = strings.Map(keepRune, line)
		lines[i] = norm.NFC.String(strings.TrimRightFunc(line, unicode.IsSpace))
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

func keepRune(r rune) rune {
	switch {
	case r == '\u00ad' || r == '\u200b' || r == '\u2060' || r == '\ufeff': // soft hyphen, zero-width space, word joiner, BOM
		return -1
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsControl(r), r >= 0xfffe && r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef: // noncharacters
		return -1
	}
	return r
}

// titleKey folds a title for comparison: letters and digits only, lower case.
func titleKey(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFKC.String(s))
}

// blocks gathers a document's text.
type blocks []domain.Block

func (b *blocks) add(kind domain.BlockKind, level, page int, text string) {
	if kind == domain.BlockCode {
		text = cleanCode(text)
	} else {
		text = clean(text)
	}
	if text != "" {
		*b = append(*b, domain.Block{Kind: kind, Level: level, Page: page, Text: text})
	}
}

// addRow adds a table's row; or the blocks themselves where one cell is but a
// frame around several of them.
func (b *blocks) addRow(page int, cells []blocks) {
	if len(cells) == 1 && len(cells[0]) > 1 {
		*b = append(*b, cells[0]...)
		return
	}
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = cell.line()
	}
	b.add(domain.BlockTableRow, 0, page, joinCells(texts))
}

// joinCells makes a row of its cells; those that are empty keep their place,
// but for the last.
func joinCells(texts []string) string {
	end := len(texts)
	for end > 0 && texts[end-1] == "" {
		end--
	}
	return strings.Join(texts[:end], " | ")
}

// line returns all the text as one line.
func (b blocks) line() string {
	lines := make([]string, len(b))
	for i, block := range b {
		lines[i] = block.Text
	}
	return strings.Join(lines, " ")
}

// title returns the text of a heading of the highest level that comes first
// and has no equal, which is how documents carry their title; else otherwise.
func (b blocks) title(otherwise string) string {
	first, peers := domain.Block{}, 0
	for _, block := range b {
		switch {
		case block.Kind != domain.BlockHeading:
		case first.Text == "":
			first, peers = block, 1
		case block.Level < first.Level:
			return otherwise
		case block.Level == first.Level:
			peers++
		}
	}
	if peers == 1 {
		return first.Text
	}
	return otherwise
}

// size returns the bytes of text gathered.
func (b blocks) size() (n int64) {
	for _, block := range b {
		n += int64(len(block.Text))
	}
	return n
}
