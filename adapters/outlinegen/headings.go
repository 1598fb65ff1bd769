package outlinegen

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The ways in which headings are numbered.
var (
	numberedPart = regexp.MustCompile(`(?i)^(?:chapter|section|part|module|unit|lesson|lecture|topic|appendix|глава|раздел|часть|модуль|урок|лекция|тема|параграф|приложение|блок|занятие)\s+(?:№\s*)?(?:\d{1,3}(?:\.\d{1,3})*|[ivxlcdm]{1,7}|[a-zа-я])(?:\s*[.:)—–-]\s*|\s+|$)`)
	dottedNumber = regexp.MustCompile(`^(?:§\s*)?\d{1,3}(?:\.\d{1,3})*[.)]\s*`)
	deepNumber   = regexp.MustCompile(`^(?:§\s*)?\d{1,3}(?:\.\d{1,3})+\s+`)
	romanNumber  = regexp.MustCompile(`^[IVXLC]{1,6}[.)]\s+`)
	letterNumber = regexp.MustCompile(`^\p{L}\)\s+`)
	bareNumber   = regexp.MustCompile(`^\d{1,3}\s+`)
	pageLeader   = regexp.MustCompile(`(?:\s*\.){3,}\s*\d*$`)
	markup       = regexp.MustCompile("[*_`#]{1,3}")
)

// cleanHeading returns a heading without numbering, markup, page numbers and
// closing punctuation. "" means that nothing is left of it. counted marks a
// document whose headings are numbered without a dot.
func cleanHeading(s string, counted bool) string {
	s = strings.TrimSpace(markup.ReplaceAllString(clean(s), ""))
	s = pageLeader.ReplaceAllString(s, "")
	for _, r := range []*regexp.Regexp{numberedPart, dottedNumber, deepNumber, romanNumber, letterNumber} {
		s = cutNumber(s, r)
	}
	if counted {
		s = cutNumber(s, bareNumber)
	}
	s = strings.TrimSpace(strings.TrimRight(s, ".,:;—–- "))
	s = strings.TrimSpace(strings.TrimLeft(s, ".,:;—–-•)]} "))
	if !hasWord(s) {
		return ""
	}
	return upperFirst(plain(s))
}

// cutNumber cuts what r matches unless a figure follows: "3.5 million" is no
// section 3.
func cutNumber(s string, r *regexp.Regexp) string {
	rest := s[len(r.FindString(s)):]
	if first, _ := utf8.DecodeRuneInString(rest); unicode.IsDigit(first) {
		return s
	}
	return rest
}

// countedHeadings reports whether headings are numbered "1 Intro", "2 Method":
// two of them follow each other in number.
func countedHeadings(headings []string) bool {
	last := ""
	for _, h := range headings {
		n := strings.TrimSpace(bareNumber.FindString(h))
		if n != "" && last != "" && follows(last, n) {
			return true
		}
		if n != "" {
			last = n
		}
	}
	return false
}

func follows(a, b string) bool {
	value := func(s string) (n int) {
		for _, r := range s {
			n = 10*n + int(r-'0')
		}
		return n
	}
	return value(b) == value(a)+1
}

// generic returns the key by which a heading's role is looked up.
func generic(heading string) string {
	return fold(strings.Trim(heading, " .,:;!?«»\"“”"))
}

// calm returns a heading that shouts in sentence case. Words that the text
// never writes in lower case keep theirs.
func (v *vocabulary) calm(heading string) string {
	letters := strings.ContainsFunc(heading, unicode.IsLower)
	if letters || !strings.Contains(heading, " ") || strings.ToLower(heading) == heading {
		return heading
	}
	parts := strings.Fields(heading)
	for i, p := range parts {
		if v.seenLower(strings.TrimFunc(p, func(r rune) bool { return !unicode.IsLetter(r) })) {
			parts[i] = strings.ToLower(p)
		}
	}
	return upperFirst(strings.Join(parts, " "))
}

// sentenceCase returns an English title in capitals and small letters as it
// reads within a sentence; another title as inside does.
func (v *vocabulary) sentenceCase(title string) string {
	if hasCyrillic(title) {
		return v.inside(title)
	}
	parts := strings.Fields(title)
	for i, p := range parts {
		word := strings.TrimFunc(p, func(r rune) bool { return !unicode.IsLetter(r) })
		if capitalized(word) && (v.everLower(word) || !v.name(word)) {
			parts[i] = strings.ToLower(p)
		}
	}
	return strings.Join(parts, " ")
}

// name reports whether the documents write a word with a capital where nothing
// but its being a name calls for one.
func (v *vocabulary) name(word string) bool {
	id, ok := v.index[stem(fold(word))]
	return ok && v.terms[id].forms[word] > 0
}

// everLower reports whether the documents write a word in lower case in any of
// its forms: Russian capitalizes nothing but names within a sentence.
func (v *vocabulary) everLower(word string) bool {
	id, ok := v.index[stem(fold(word))]
	if !ok {
		return true // too common to be a name
	}
	for form := range v.terms[id].forms {
		if form == strings.ToLower(form) {
			return true
		}
	}
	return false
}

// inside returns a title as it reads within another: its first letter small,
// if the documents write that word so.
func (v *vocabulary) inside(title string) string {
	first := firstWord(title)
	if hasCyrillic(first) && v.everLower(first) {
		return strings.ToLower(first) + title[len(first):]
	}
	if first == "" || utf8.RuneCountInString(first) > 1 && strings.ToUpper(first) == first || !v.seenLower(first) {
		return title
	}
	return strings.ToLower(first) + title[len(first):]
}
