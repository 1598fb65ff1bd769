package textextract

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// pdfPage is a page's lines in reading order.
type pdfPage struct {
	number int // from 1
	height float64
	lines  []line
}

const (
	edgeLines  = 2    // lines at the top and at the bottom that may be running ones
	edgeShare  = 0.12 // of a page's height, where a lone number is the page's
	maxNumbers = 2    // of a running line that may be the page's
	edgeDrift  = 3.0  // points by which a running line may move between pages
	loudFactor = 1.1  // over the body's size, from which a line looks like a heading
)

// pageNumber matches a line that is nothing but a page's number.
var pageNumber = regexp.MustCompile(`(?i)^[-–—\s]*(?:(?:page|p\.|стр\.?|страница|с\.)\s*)?\d{1,4}(?:\s*(?:/|of|из)\s*\d{1,4})?[-–—\s]*$`)

var digits = regexp.MustCompile(`\d{1,4}`)

// contentsEntry matches a line of a table of contents: leaders and a number.
var contentsEntry = regexp.MustCompile(`(?:\.\s?|…\s?|·\s?){4,}\s*\d{1,4}$`)

// spot is where a line stands that may be a running one.
type spot struct {
	page, line int
	y          float64
	loud       bool
}

// dropFurniture removes page numbers, running headers and footers, and the
// entries of tables of contents.
func dropFurniture(pages []pdfPage, body typography) {
	groups := map[string][]spot{}
	drop := map[[2]int]bool{}
	for p, page := range pages {
		for side, indexes := range edges(page.lines) {
			for _, i := range indexes {
				l := page.lines[i]
				if pageNumber.MatchString(l.text()) && nearEdge(l, page) {
					drop[[2]int{p, i}] = true
				}
				s := spot{page: p, line: i, y: l.y, loud: l.bold || l.size > body.size*loudFactor}
				for _, key := range s.keys(l, page.number) {
					key = fmt.Sprint(side, key)
					groups[key] = append(groups[key], s)
				}
			}
		}
	}
	for _, spots := range groups {
		for _, s := range running(spots, len(pages)) {
			drop[[2]int{s.page, s.line}] = true
		}
	}
	for p := range pages {
		i := -1
		pages[p].lines = slices.DeleteFunc(pages[p].lines, func(l line) bool {
			i++
			return drop[[2]int{p, i}] || contentsEntry.MatchString(l.text())
		})
	}
}

// edges returns the indexes of the lowest and of the highest lines.
func edges(lines []line) [2][]int {
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lines[a].y, lines[b].y) })
	n := min(edgeLines, len(order))
	return [2][]int{order[:n], order[len(order)-n:]}
}

func nearEdge(l line, page pdfPage) bool {
	return l.y < page.height*edgeShare || l.y > page.height*(1-edgeShare)
}

// keys returns what the line may share with those of other pages: all of it,
// or what stands to the left or right in it, such as a chapter's title.
func (s spot) keys(l line, page int) []string {
	texts := []string{l.text()}
	if len(l.cells) > 1 {
		for _, c := range l.cells {
			texts = append(texts, c.text)
		}
	}
	var keys []string
	for _, text := range texts {
		keys = append(keys, text)
		if !s.loud { // else the headings of chapters of one page each would go
			keys = append(keys, numberedKeys(text, page)...)
		}
	}
	return keys
}

// numberedKeys returns, for each number in a text, the text with that number
// taken relative to the page's, so that "page 3 of 9" and "page 4 of 9" on
// neighbouring pages have a key in common.
func numberedKeys(text string, page int) (keys []string) {
	for _, at := range digits.FindAllStringIndex(text, maxNumbers) {
		n, err := strconv.Atoi(text[at[0]:at[1]])
		if err == nil {
			keys = append(keys, fmt.Sprintf("%s\x00%d\x00%s", text[:at[0]], n-page, text[at[1]:]))
		}
	}
	return keys
}

// running returns the spots that repeat at one height on enough pages.
func running(spots []spot, pages int) []spot {
	middle := slices.SortedFunc(slices.Values(spots), func(a, b spot) int { return cmp.Compare(a.y, b.y) })[len(spots)/2].y
	level := slices.DeleteFunc(slices.Clone(spots), func(s spot) bool {
		return s.y < middle-edgeDrift || s.y > middle+edgeDrift
	})
	need := 2
	if pages > 5 {
		need = 3
	}
	if slices.ContainsFunc(level, func(s spot) bool { return s.loud }) {
		need = max(3, pages/2) // else the headings of short chapters would go
	}
	if len(level) < need {
		return nil
	}
	return level
}
