package outlinegen

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kljensen/snowball/english"
	"github.com/kljensen/snowball/russian"
)

// wordList is what data/*/words.yaml holds: words by the role they play.
type wordList struct {
	Stop          string   `yaml:"stop"`          // tell no topic
	Weak          string   `yaml:"weak"`          // tell no topic in any of their forms
	Abbreviations string   `yaml:"abbreviations"` // end in a full stop that ends no sentence
	Leaning       string   `yaml:"leaning"`       // begin a sentence that leans on the one before
	Pronouns      string   `yaml:"pronouns"`      // lean on it too as a sentence's second or third word
	Determiners   string   `yaml:"determiners"`   // stand before nouns
	Nominal       string   `yaml:"nominal"`       // end in -ing and name no action
	Clauses       string   `yaml:"clauses"`       // begin headings that are clauses: "how to ..."
	Dropped       []string `yaml:"dropped"`       // headings of parts that teach nothing
	Folded        []string `yaml:"folded"`        // headings that name no topic
	Audience      []string `yaml:"audience"`      // parts of a sentence that names its readers
	Beginner      string   `yaml:"beginner"`      // words of titles that promise a gentle start
	Advanced      string   `yaml:"advanced"`      // words of titles that promise the opposite
}

// lexicon knows the words of all languages that the generator writes. They
// never clash: English and Russian share no script.
type lexicon struct {
	stop, weak, abbreviations, leaning      map[string]bool
	pronouns, determiners, clauses, nominal map[string]bool
	dropped, folded                         map[string]bool
	beginner, advanced                      map[string]bool
	audience                                []string
}

func newLexicon(lists []wordList) *lexicon {
	x := &lexicon{
		stop: set{}, weak: set{}, abbreviations: set{}, leaning: set{},
		pronouns: set{}, determiners: set{}, clauses: set{}, nominal: set{},
		dropped: set{}, folded: set{}, beginner: set{}, advanced: set{},
	}
	for _, l := range lists {
		add(x.stop, strings.Fields(l.Stop))
		add(x.abbreviations, strings.Fields(l.Abbreviations))
		add(x.leaning, strings.Fields(l.Leaning))
		add(x.pronouns, strings.Fields(l.Pronouns))
		add(x.determiners, strings.Fields(l.Determiners))
		add(x.nominal, strings.Fields(l.Nominal))
		add(x.clauses, strings.Fields(l.Clauses))
		add(x.beginner, strings.Fields(l.Beginner))
		add(x.advanced, strings.Fields(l.Advanced))
		add(x.dropped, l.Dropped)
		add(x.folded, l.Folded)
		for _, w := range strings.Fields(l.Weak) {
			x.weak[stem(fold(w))] = true
		}
		x.audience = append(x.audience, l.Audience...)
	}
	return x
}

type set = map[string]bool

func add(s set, words []string) {
	for _, w := range words {
		s[fold(w)] = true
	}
}

// tellsNothing reports whether a folded word says nothing about the topic.
// foreign marks a text whose language has no list: there short words are
// taken for articles, pronouns and the like.
func (x *lexicon) tellsNothing(word, stem string, foreign bool) bool {
	if x.stop[word] || x.weak[stem] {
		return true
	}
	r, _ := utf8.DecodeRuneInString(word)
	if unicode.Is(unicode.Hiragana, r) {
		return true
	}
	if ideographic(r) {
		return false
	}
	short := 1
	if foreign {
		short = 3
	}
	return utf8.RuneCountInString(word) <= short
}

// ideographic reports whether r belongs to a script written without spaces,
// whose segments are single characters.
func ideographic(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// foreign reports whether a text is in a language without a word list: among
// a sample of its words, hardly any are known.
func (x *lexicon) foreign(sample []string) bool {
	known := 0
	for _, w := range sample {
		if x.stop[fold(w)] {
			known++
		}
	}
	return len(sample) >= 20 && known*12 < len(sample)
}

// stem returns what the forms of a folded word have in common. Words that are
// neither Russian nor English script are their own stems.
func stem(word string) string {
	r, _ := utf8.DecodeRuneInString(word)
	switch {
	case unicode.Is(unicode.Cyrillic, r):
		return russian.Stem(word, true)
	case r < unicode.MaxASCII:
		return english.Stem(word, true)
	}
	return word
}
