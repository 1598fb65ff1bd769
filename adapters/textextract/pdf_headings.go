package textextract

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a heading may be at most.
const (
	titleLevel      = -1 // of the document's title, which is not a heading in its text
	maxHeadingLevel = 6
	maxHeadingRunes = 250
	maxHeadingLines = 4
	maxBoldRunes    = 120 // of one that stands out by its weight alone
)

// style is what makes one level of headings look alike.
type style struct {
	size float64 // in points, rounded to a half
	bold bool
}

// candidate is a paragraph, or something like one, that may be a heading.
type candidate struct {
	text  string
	style style
	level int // 0: not a heading; titleLevel
	depth int // in the outline, from 1; 0: not in it
}

// isHeading judges by looks: larger than the body, or bold where that is not.
func (c candidate) isHeading(body style) bool {
	n := utf8.RuneCountInString(c.text)
	switch {
	case n > maxHeadingRunes || !strings.ContainsFunc(c.text, unicode.IsLetter):
		return false
	case c.style.size > body.size*loudFactor:
		return true
	}
	return c.style.bold && !body.bold && c.style.size >= body.size*0.97 && n <= maxBoldRunes &&
		!strings.ContainsAny(c.text[len(c.text)-1:], ".,;:!") && !bullet.MatchString(c.text)
}

// setLevels ranks the styles of the headings among the candidates: the more a
// style stands out, the higher its level. An outline overrules the ranks. It
// returns the title, when one heading stands above those of the outline.
func setLevels(candidates []*candidate, body style) (title string) {
	outlined := outlineLevels(candidates)
	levels := map[style]int{}
	above := 0
	for i, s := range rank(candidates, body) {
		level, ok := outlined[s]
		switch {
		case ok:
		case i == 0 && len(outlined) > 0 && unique(candidates, s):
			levels[s] = titleLevel
			continue
		default:
			level = above + 1
		}
		levels[s], above = level, level
	}
	for _, c := range candidates {
		switch {
		case c.depth > 0 && len(outlined) > 0:
			c.level = min(c.depth, maxHeadingLevel)
		case c.isHeading(body):
			c.level = min(levels[c.style], maxHeadingLevel)
		}
		if c.level == titleLevel {
			title = c.text
		}
	}
	return title
}

func unique(candidates []*candidate, s style) bool {
	n := 0
	for _, c := range candidates {
		if c.style == s {
			n++
		}
	}
	return n == 1
}

// rank returns the headings' styles, the loudest first.
func rank(candidates []*candidate, body style) []style {
	styles := map[style]bool{}
	for _, c := range candidates {
		if c.isHeading(body) {
			styles[c.style] = true
		}
	}
	return slices.SortedFunc(maps.Keys(styles), func(a, b style) int {
		if a.size != b.size {
			return cmp.Compare(b.size, a.size)
		}
		if a.bold {
			return -1
		}
		return 1
	})
}

// outlineLevels returns the depth that most headings of a style have in the
// outline; none if the outline has too little to do with the text.
func outlineLevels(candidates []*candidate) map[style]int {
	votes, voters := map[style]map[float64]int{}, 0
	for _, c := range candidates {
		if c.depth == 0 {
			continue
		}
		if votes[c.style] == nil {
			votes[c.style] = map[float64]int{}
		}
		votes[c.style][float64(c.depth)]++
		voters++
	}
	levels := map[style]int{}
	if voters < 2 {
		return levels
	}
	for s, depths := range votes {
		levels[s] = int(commonest(depths))
	}
	return levels
}

// styleOf rounds, so that sizes that only differ by rounding are one.
func styleOf(size float64, bold bool) style {
	return style{size: math.Round(size*2) / 2, bold: bold}
}
