package textextract

import (
	"iter"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// words finds words, those with hyphens inside as one.
var words = regexp.MustCompile(`\p{L}+(?:-\p{L}+)*`)

// spelled matches what a Russian hyphen at a line's end is part of, however
// the line was broken: по-русски, во-первых, кое-что, из-за, что-то.
var spelled = regexp.MustCompile(`^(?:по-\p{L}+(?:ски|цки|ьи|[ое]му)|во-(?:первых|вторых|третьих)|кое-\p{L}+|из-(?:за|под)|\p{L}+-(?:то|либо|нибудь|таки|ка)|(?:онлайн|офлайн|интернет|веб|бизнес|медиа|топ|пресс|мини)-\p{L}+)$`)

// maxLearned bounds the words remembered; a long book has fewer.
const maxLearned = 200_000

// hyphens decides whether a hyphen at a line's end belongs to the word, by
// what the same document does within its lines.
type hyphens struct {
	whole    map[string]bool // words that occur without a break
	prefixes map[string]bool // first parts of words spelled with a hyphen
}

func learnHyphens(texts iter.Seq[string]) hyphens {
	h := hyphens{whole: map[string]bool{}, prefixes: map[string]bool{}}
	for text := range texts {
		if len(h.whole) > maxLearned {
			break
		}
		for _, word := range words.FindAllString(strings.ToLower(text), -1) {
			h.whole[word] = true
			if prefix, _, ok := strings.Cut(word, "-"); ok && utf8.RuneCountInString(prefix) > 2 {
				h.prefixes[prefix] = true
			}
		}
	}
	return h
}

// wrapped is one line of a paragraph.
type wrapped struct {
	text     string
	hyphened bool // a hyphen stood at its end, which text lacks
}

// unwrap makes one line of many, mending the words that were broken.
func (h hyphens) unwrap(lines []wrapped) string {
	var out strings.Builder
	for i, line := range lines {
		out.WriteString(line.text)
		last := i == len(lines)-1
		switch {
		case line.hyphened && (last || h.keeps(lastWord(line.text), firstWord(lines[i+1].text))):
			out.WriteByte('-')
		case !line.hyphened && !last:
			out.WriteByte(' ')
		}
	}
	return out.String()
}

func (h hyphens) keeps(head, tail string) bool {
	first, _ := utf8.DecodeRuneInString(tail)
	a, b := strings.ToLower(head), strings.ToLower(tail)
	switch {
	case !unicode.IsLower(first), utf8.RuneCountInString(head) == 1, head == strings.ToUpper(head):
		return true // Rostov-on, e-mail, IT-
	case h.whole[a+b]:
		return false
	}
	return h.whole[a+"-"+b] || h.prefixes[a] || spelled.MatchString(a+"-"+b)
}

func firstWord(s string) string {
	if end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }); end >= 0 {
		return s[:end]
	}
	return s
}

func lastWord(s string) string {
	return s[len(strings.TrimRightFunc(s, unicode.IsLetter)):]
}
