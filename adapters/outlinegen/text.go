package outlinegen

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean returns s as one line of valid text: controls and runs of white space
// become one space, soft hyphens and byte order marks vanish.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\u00ad' || r == '\ufeff' || r == '\u200b' || r == utf8.RuneError:
			return -1
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	return strings.Join(strings.Fields(s), " ")
}

// hasWord reports whether s has a letter or a digit.
func hasWord(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// shorten returns s if it has at most limit characters, else as many whole
// words of it as fit, and an ellipsis.
func shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	cut := string([]rune(s)[:limit-1])
	if i := strings.LastIndexByte(cut, ' '); i > len(cut)/2 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " .,;:—–-") + "…"
}

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || !unicode.IsLetter(r) {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// fold makes two spellings of a word equal.
func fold(word string) string {
	return strings.ReplaceAll(strings.ToLower(word), "ё", "е")
}

var (
	todoMark    = regexp.MustCompile(`\bTODO:`)
	tbdMark     = regexp.MustCompile(`\bTBD\b`)
	loremMark   = regexp.MustCompile(`(?i)lorem ipsum`)
	bracketMark = regexp.MustCompile(`(?i)\[((?:insert|placeholder)\b[^\]]*)\]`)
)

// plain rewords what would read as a placeholder, in titles and other text
// that cannot be left out.
func plain(s string) string {
	s = todoMark.ReplaceAllString(s, "TODO —")
	s = tbdMark.ReplaceAllString(s, "T.B.D.")
	s = loremMark.ReplaceAllString(s, "Lorem-ipsum")
	return bracketMark.ReplaceAllString(s, "($1)")
}
