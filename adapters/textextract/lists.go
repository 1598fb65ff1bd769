package textextract

import "regexp"

// bullet matches an item's mark that stands for nothing else; dash one that
// may as well begin a line in mid-sentence; ordinal an item's number.
var (
	bullet  = regexp.MustCompile(`^[•●○◦▪▫■□‣⁃∙·➢➤✓✔*\x{f0b7}\x{f0a7}]\s+`)
	dash    = regexp.MustCompile(`^[-–—]\s+`)
	ordinal = regexp.MustCompile(`^(?:\d{1,2}[.)]|\(\d{1,2}\)|\p{L}\))\s+`)
)

// cutMark returns an item's text without its mark.
func cutMark(s string) (string, bool) {
	for _, mark := range []*regexp.Regexp{bullet, dash, ordinal} {
		if at := mark.FindStringIndex(s); at != nil && at[1] < len(s) {
			return s[at[1]:], true
		}
	}
	return s, false
}

// isMark tells whether s is a mark and nothing else.
func isMark(s string) bool {
	_, ok := cutMark(s + " x")
	return ok
}
