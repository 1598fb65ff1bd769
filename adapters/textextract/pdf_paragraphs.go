package textextract

import (
	"iter"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How lines make paragraphs, in ems (multiples of the type's size).
const (
	indentEms    = 0.9
	columnEms    = 4.0 // how far apart lines of one column may begin
	slackEms     = 0.5 // room that a full line may leave beside the next word
	spaceEms     = 0.3
	closeLeading = 1.25 // times the usual distance of lines that still holds a paragraph together
	usualLeading = 1.2  // where nothing can be measured
)

// typography is what most of a document's letters look like.
type typography struct {
	size    float64
	bold    bool
	leading float64 // distance of baselines, in ems
}

func measure(pages []pdfPage) typography {
	sizes, leadings := map[float64]int{}, map[float64]int{}
	bold, all := 0, 0
	for _, page := range pages {
		for i, l := range page.lines {
			n := utf8.RuneCountInString(l.text())
			sizes[l.size] += n
			all += n
			if l.bold {
				bold += n
			}
			if i > 0 && page.lines[i-1].size == l.size {
				if em := (page.lines[i-1].y - l.y) / l.size; em > 0.8 && em < 2.5 {
					leadings[math.Round(em*20)/20]++
				}
			}
		}
	}
	t := typography{size: commonest(sizes), bold: bold*2 > all, leading: usualLeading}
	if len(leadings) > 0 {
		t.leading = commonest(leadings)
	}
	return t
}

// paragraph is lines that belong together.
type paragraph struct {
	lines []line
	item  bool // begins with a mark
}

func (p paragraph) first() line { return p.lines[0] }
func (p paragraph) last() line  { return p.lines[len(p.lines)-1] }

// bold tells whether all of it is.
func (p paragraph) bold() bool {
	for _, l := range p.lines {
		if !l.bold {
			return false
		}
	}
	return true
}

func (p paragraph) text(h hyphens) string {
	if p.first().row {
		return rowText(p.first())
	}
	lines := make([]wrapped, len(p.lines))
	for i, l := range p.lines {
		lines[i] = wrapped{l.text(), l.hyphened}
	}
	return h.unwrap(lines)
}

// columns knows how far to the right the lines of a page reach, by where they
// begin.
type columns map[int]float64

func measureColumns(lines []line, em float64) columns {
	c := columns{}
	for _, l := range lines {
		at := column(l, em)
		c[at] = max(c[at], l.x1)
	}
	return c
}

func column(l line, em float64) int { return int(l.x0 / (em * columnEms)) }

func (c columns) right(l line, em float64) float64 {
	at := column(l, em)
	return max(c[at-1], c[at], c[at+1], l.x1)
}

// composer makes paragraphs of lines.
type composer struct {
	body  typography
	right columns // of the page that the latest line is on
	done  []paragraph
}

func compose(pages []pdfPage, body typography) []paragraph {
	c := composer{body: body}
	for _, page := range pages {
		lines := findTables(page.lines, body)
		right := measureColumns(lines, body.size)
		for _, l := range lines {
			c.take(l)
			c.right = right
		}
	}
	return c.done
}

func (c *composer) take(l line) {
	if len(c.done) > 0 {
		open := &c.done[len(c.done)-1]
		if c.continues(*open, l) {
			open.lines = append(open.lines, l)
			return
		}
	}
	_, item := cutMark(l.text())
	c.done = append(c.done, paragraph{lines: []line{l}, item: item && !l.row})
}

// continues tells whether next is p's next line.
func (c *composer) continues(p paragraph, next line) bool {
	prev := p.last()
	loud := prev.size > c.body.size*loudFactor
	switch {
	case !alike(prev, next) || c.startsItem(p, next):
		return false
	case loud && (prev.bold || centred(prev, next)):
		return c.adjacent(prev, next)
	case c.short(prev, next) && !flows(prev, next):
		return false
	case elsewhere(prev, next):
		return !loud && (prev.hyphened || !endsSentence(prev.text()))
	}
	return c.adjacent(prev, next) && !indented(p, next)
}

// alike tells whether two lines can be of one paragraph by their type.
func alike(prev, next line) bool {
	return !prev.row && !next.row && math.Abs(prev.size-next.size) <= 0.06*prev.size &&
		(prev.bold == next.bold || startsLower(next.text()))
}

// elsewhere tells whether next stands on a new page, or in a new column.
func elsewhere(prev, next line) bool {
	return prev.page != next.page || next.y > prev.y-prev.size/2
}

// flows tells whether next goes on with prev's sentence, for all one can read.
func flows(prev, next line) bool {
	return !endsSentence(prev.text()) && startsLower(next.text())
}

func (c *composer) adjacent(prev, next line) bool {
	return prev.page == next.page && prev.y-next.y <= prev.size*c.body.leading*closeLeading
}

// startsItem tells whether next begins an item of a list. A dash or a number
// that follows a line broken in mid-sentence does not.
func (c *composer) startsItem(p paragraph, next line) bool {
	text := next.text()
	if bullet.MatchString(text) {
		return true
	}
	prev := p.last()
	return isMarked(text) && (p.item && math.Abs(p.first().x0-next.x0) < edgeEms*next.size && !dash.MatchString(text) ||
		endsSentence(prev.text()) || c.short(prev, next))
}

// short tells whether prev left room for the word that next begins with, so
// that its end was meant.
func (c *composer) short(prev, next line) bool {
	if prev.hyphened {
		return false
	}
	return prev.x1+next.first+(spaceEms+slackEms)*prev.size < c.right.right(prev, c.body.size)
}

// indented tells whether next begins where a new paragraph would.
func indented(p paragraph, next line) bool {
	prev, em := p.last(), next.size*indentEms
	switch {
	case next.x0 > prev.x0+em:
		return !p.item || len(p.lines) > 1
	case next.x0 < prev.x0-em:
		return p.item || len(p.lines) > 1
	}
	return false
}

func centred(a, b line) bool {
	return math.Abs((a.x0+a.x1)-(b.x0+b.x1)) < 2*edgeDrift
}

func startsLower(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLower(r)
}

func isMarked(s string) bool {
	_, ok := cutMark(s)
	return ok
}

// endsSentence looks past closing quotes and brackets.
func endsSentence(s string) bool {
	s = strings.TrimRight(s, `»"”’')]`)
	return s == "" || strings.ContainsAny(s[len(s)-1:], ".!?:;") || strings.HasSuffix(s, "…")
}

func lineTexts(pages []pdfPage) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, page := range pages {
			for _, l := range page.lines {
				if !yield(l.text()) {
					return
				}
			}
		}
	}
}
