package outlinegen

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/sentences"

	"lectern/domain"
)

// sentence is a sentence of a document, as the document has it.
type sentence struct {
	text     string
	key      string // equal for sentences that say the same in other words' order or forms
	words    []word // with the breaks between phrases
	length   int    // in words, stop words included
	opens    bool   // the first of its paragraph
	quotable bool   // stands on its own in a lesson: whole, no question, no chatter
	leans    bool   // needs the sentence before it: "Therefore ..."
	item     bool   // of a list, which its heading or its list explains
}

// split cuts text at the ends of its sentences. Abbreviations and initials end
// none, and what a quotation mark or bracket opens stays together.
func (x *lexicon) split(text string) []string {
	var all []string
	pending := ""
	for _, piece := range pieces(text) {
		it := sentences.FromString(piece)
		for it.Next() {
			pending += it.Value()
			if len(pending) < 4*maxSentence && (x.abbreviated(pending) || !balanced(pending)) {
				continue
			}
			all = append(all, pending)
			pending = ""
		}
	}
	if pending != "" {
		all = append(all, pending)
	}
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

// pieces bounds what is segmented at once, cutting at spaces where it can.
func pieces(text string) []string {
	var all []string
	for len(text) > maxPieceBytes {
		cut := strings.LastIndexByte(text[:maxPieceBytes], ' ') + 1
		if cut == 0 {
			for cut = maxPieceBytes; !utf8.RuneStart(text[cut]); cut-- {
			}
		}
		all = append(all, text[:cut])
		text = text[cut:]
	}
	return append(all, text)
}

// initial matches a name's initial, or a list's number, at the end of a text.
var initial = regexp.MustCompile(`(?:^|[\s.(«"“])(?:\p{Lu}|\d{1,2})\.$`)

func (x *lexicon) abbreviated(s string) bool {
	s = strings.TrimSpace(s)
	if !strings.HasSuffix(s, ".") {
		return false
	}
	last := s[strings.LastIndexAny(s, " (\u00a0")+1:]
	last = strings.TrimSuffix(last, ".")
	return x.abbreviations[fold(last)] || initial.MatchString(last+".") && len(s) > len(last)+1
}

// balanced reports whether s closes what it opens.
func balanced(s string) bool {
	for _, pair := range [...][2]string{{"«", "»"}, {"(", ")"}, {"[", "]"}, {"“", "”"}} {
		if strings.Count(s, pair[0]) > strings.Count(s, pair[1]) && !strings.Contains(s, "„") {
			return false
		}
	}
	return strings.Count(s, `"`)%2 == 0
}

// terminal ends a whole sentence; closing may follow it.
const (
	terminal = ".!…。！؟۔।．"
	closing  = `»”"')]’`
)

// judge says what part a sentence can play in a lesson.
func (x *lexicon) judge(s *sentence) {
	text := s.text
	first, _ := utf8.DecodeRuneInString(text)
	bare := strings.TrimRight(text, closing)
	last, _ := utf8.DecodeLastRuneInString(bare)
	n := utf8.RuneCountInString(text)
	long := n >= minSentence || ideographic(first) && n >= minSentence/2
	s.quotable = long && n <= maxSentence &&
		strings.ContainsRune(terminal, last) && last != '؟' &&
		!unicode.IsLower(first) && !strings.ContainsRune("—–-•*|", first) &&
		balanced(text) && !spoken(text) && !domain.HasPlaceholder(text)
	const near = 3 // words
	s.leans = x.leaning[fold(firstWord(text))] || x.refers(text, near)
}

// refers reports whether one of a sentence's first words stands for something
// in the sentence before: "A good one is ...", "Report it first".
func (x *lexicon) refers(text string, within int) bool {
	parts := strings.SplitN(text, " ", within+1)
	return slices.ContainsFunc(parts[1:min(within, len(parts))], func(w string) bool {
		return x.pronouns[fold(strings.Trim(w, ".,;:!?»”\""))]
	})
}

// saying returns a sentence's terms and figures; sentences with the same say
// the same.
func (s sentence) saying() string {
	const fewest = 4 // terms: of fewer, the text itself
	terms := slices.Sorted(maps.Keys(s.terms()))
	if len(terms) < fewest {
		return s.text
	}
	var b strings.Builder
	for _, t := range terms {
		b.WriteRune(t + 1)
	}
	for _, r := range s.text {
		if unicode.IsDigit(r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// said matches a label before somebody's words.
var said = regexp.MustCompile(`^\p{Lu}\p{L}+:\s+[«"“]`)

// spoken reports whether a text is nothing but a quotation, or asks: what
// people say in examples, not what the document teaches.
func spoken(text string) bool {
	bare := strings.TrimRight(text, closing+terminal)
	if strings.Contains(text, ":") && said.MatchString(text) || strings.HasSuffix(bare, "?") || strings.HasSuffix(bare, "？") {
		return true
	}
	return strings.ContainsAny(text[:min(len(text), 3)], "«“\"„") && strings.TrimRight(text, terminal) != strings.TrimRight(text, terminal+closing)
}

func firstWord(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' && r != '’' })
	if end < 0 {
		return text
	}
	return text[:end]
}

// speaker matches the name before what somebody says in a transcript.
var speaker = regexp.MustCompile(`^(\p{Lu}[\p{L}.'’ -]{0,28}?)\s?:\s`)

// speakers returns the names of those who talk in a document: they begin
// paragraphs that follow each other, and one of them begins another.
func speakers(blocks []domain.Block) set {
	count := map[string]int{}
	for _, b := range blocks {
		count[speakerOf(b)]++
	}
	names := set{}
	for i := 1; i < len(blocks); i++ {
		a, b := speakerOf(blocks[i-1]), speakerOf(blocks[i])
		if a != "" && b != "" && a != b && count[a]+count[b] > 2 {
			names[a], names[b] = true, true
		}
	}
	return names
}

func speakerOf(b domain.Block) string {
	const longestName = 64 // bytes, with the colon
	if b.Kind != domain.BlockParagraph || !strings.Contains(b.Text[:min(len(b.Text), longestName)], ":") {
		return ""
	}
	m := speaker.FindStringSubmatch(b.Text)
	if m == nil {
		return ""
	}
	return m[1]
}
