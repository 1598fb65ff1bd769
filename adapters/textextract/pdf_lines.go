package textextract

import (
	"math"
	"slices"
	"strings"
	"unicode"
)

// lineHyphen is what PDFium puts for a hyphen at the end of a line.
const lineHyphen = '\x02'

// char is one character on a page; y grows upwards, all in points.
type char struct {
	r              rune
	x0, x1, y0, y1 float64
	angle          float64
	font
}

// upright turns a page whose text is mostly sideways, and drops what then
// still runs across it: watermarks, labels along the margin.
func upright(chars []char) []char {
	var count [4]int
	for _, c := range chars {
		if q, ok := quarter(c.angle); ok {
			count[q]++
		}
	}
	turn := slices.Index(count[:], slices.Max(count[:]))
	kept := chars[:0]
	for _, c := range chars {
		if q, ok := quarter(c.angle); ok && q == turn || unicode.IsSpace(c.r) {
			kept = append(kept, c.turned(turn))
		}
	}
	return kept
}

// quarter returns the number of quarter turns of an angle in radians.
func quarter(angle float64) (int, bool) {
	turns := angle / (math.Pi / 2)
	nearest := math.Round(turns)
	return (int(nearest)%4 + 4) % 4, math.Abs(turns-nearest) < 0.1
}

// turned rotates the character's box by that many quarters.
func (c char) turned(quarters int) char {
	for range quarters {
		c.x0, c.x1, c.y0, c.y1 = -c.y1, -c.y0, c.x0, c.x1
	}
	return c
}

// cell is a stretch of a line without a wide gap in it.
type cell struct {
	text   string
	x0, x1 float64
}

// line is characters on one baseline, in the order they were drawn.
type line struct {
	cells    []cell
	x0, x1   float64
	first    float64 // width of what may not be broken at the beginning
	y        float64 // of the baseline
	size     float64 // of most letters
	bold     bool    // most letters are
	page     int     // from 1
	hyphened bool    // ended in a hyphen, which the text lacks
	row      bool    // of a table
}

func (l line) text() string {
	texts := make([]string, len(l.cells))
	for i, c := range l.cells {
		texts[i] = c.text
	}
	return strings.Join(texts, " ")
}

// splitLines cuts a page's characters into lines, in the order drawn.
func splitLines(chars []char, page int) []line {
	var lines []line
	start, last := 0, -1 // last is the latest character that is not a space
	var height lineHeight
	for i, c := range chars {
		if unicode.IsSpace(c.r) {
			continue
		}
		if last >= 0 && (c.x0 < chars[last].x0-returnEms*c.size || height.leaves(c)) {
			lines = appendLine(lines, chars[start:i], page)
			start, height = i, lineHeight{}
		}
		height.add(c)
		last = i
	}
	return appendLine(lines, chars[start:], page)
}

const (
	returnEms = 3   // how far left of its neighbour a character begins a new line
	offsetEms = 0.6 // how far above or below the line's middle
	gapEms    = 0.9 // how far right begins a new cell
)

// lineHeight follows the middle of a line's characters.
type lineHeight struct{ sum, n, size float64 }

func (h *lineHeight) add(c char) {
	h.sum += (c.y0 + c.y1) / 2
	h.n++
	h.size = max(h.size, c.size)
}

func (h *lineHeight) leaves(c char) bool {
	return math.Abs((c.y0+c.y1)/2-h.sum/h.n) > offsetEms*max(h.size, c.size)
}

func appendLine(lines []line, chars []char, page int) []line {
	l := line{page: page}
	chars, l.hyphened = cutHyphen(chars)
	l.cells = splitCells(chars)
	if len(l.cells) == 0 {
		return lines
	}
	l.x0, l.x1 = l.cells[0].x0, l.cells[len(l.cells)-1].x1
	l.y, l.size, l.bold = typeface(chars)
	l.first = firstWidth(chars)
	return append(lines, l)
}

// firstWidth measures up to the first space at which a line may end.
func firstWidth(chars []char) (width float64) {
	began := false
	var from float64
	for _, c := range chars {
		switch {
		case unicode.IsSpace(c.r) && c.r != '\u00a0' && c.r != '\u202f':
			if began {
				return width
			}
		case !began:
			began, from = true, c.x0
			fallthrough
		default:
			width = c.x1 - from
		}
	}
	return width
}

// cutHyphen removes a hyphen that follows a letter at the end of a line.
func cutHyphen(chars []char) ([]char, bool) {
	for len(chars) > 0 && unicode.IsSpace(chars[len(chars)-1].r) {
		chars = chars[:len(chars)-1]
	}
	n := len(chars)
	if n < 2 || !unicode.IsLetter(chars[n-2].r) {
		return chars, false
	}
	switch chars[n-1].r {
	case lineHyphen, '-', '\u00ad', '\u2010':
		return chars[:n-1], true
	}
	return chars, false
}

func splitCells(chars []char) (cells []cell) {
	var text strings.Builder
	var open cell
	flush := func() {
		if open.text = clean(text.String()); open.text != "" {
			cells = append(cells, open)
		}
		text.Reset()
		open = cell{}
	}
	began := false
	for _, c := range chars {
		if c.r == lineHyphen {
			c.r = '-' // not at the end after all
		}
		if !unicode.IsSpace(c.r) {
			if began && c.x0-open.x1 > gapEms*c.size {
				flush()
				began = false
			}
			if !began {
				open.x0, began = c.x0, true
			}
			open.x1 = c.x1
		}
		text.WriteRune(c.r)
	}
	flush()
	return cells
}

// typeface returns the baseline, size and weight that most letters have.
func typeface(chars []char) (y, size float64, bold bool) {
	var ys []float64
	sizes := map[float64]int{}
	boldness := 0
	for _, c := range chars {
		if unicode.IsSpace(c.r) {
			continue
		}
		ys = append(ys, c.y0)
		sizes[math.Round(c.size*2)/2]++
		if c.bold {
			boldness++
		}
	}
	slices.Sort(ys)
	return ys[len(ys)/2], commonest(sizes), boldness*10 >= len(ys)*9
}

// commonest returns the key counted most often, the greater of equals.
func commonest(counts map[float64]int) (best float64) {
	n := 0
	for key, count := range counts {
		if count > n || count == n && key > best {
			best, n = key, count
		}
	}
	return best
}
