package textextract

import (
	"math"
	"slices"
)

// maxMarkedLines bounds the search for marks, which compares lines pairwise; no
// readable page has more.
const maxMarkedLines = 2000

// attachMarks puts the marks of list items, which some programs draw after
// the rest of the page, before the text that stands beside them.
func attachMarks(lines []line) []line {
	if len(lines) > maxMarkedLines {
		return lines
	}
	attached := map[int]bool{}
	for i, mark := range lines {
		if !isMark(mark.text()) {
			continue
		}
		if j := rightOf(lines, mark); j >= 0 {
			target := &lines[j]
			target.x0, target.cells[0].x0 = mark.x0, mark.x0
			target.cells[0].text = mark.text() + " " + target.cells[0].text
			attached[i] = true
		}
	}
	i := -1
	return slices.DeleteFunc(lines, func(line) bool {
		i++
		return attached[i]
	})
}

// rightOf returns the index of the line nearest to the right of a mark, or -1.
func rightOf(lines []line, mark line) int {
	best := -1
	for j, l := range lines {
		if l.x0 < mark.x1 || l.x0-mark.x1 > columnEms*l.size || math.Abs(l.y-mark.y) > offsetEms*l.size || isMark(l.text()) {
			continue
		}
		if best < 0 || l.x0 < lines[best].x0 {
			best = j
		}
	}
	return best
}
