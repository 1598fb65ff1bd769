package outlinegen

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/words"
)

// word is a place in a sentence: a term that may tell the topic, or a break.
type word struct {
	term       int32 // index of vocabulary.terms, or breakTerm
	start, end int32 // bytes of the sentence's text
}

// breakTerm stands where no phrase may run on: punctuation, numbers, stop words.
const breakTerm = -1

// term is what the forms of one word have in common.
type term struct {
	stem    string
	forms   map[string]int // how often each spelling occurs
	opening map[string]int // those of them, in lower case, that open a sentence with a capital
	count   int
	weight  float64
	noun    noun // Russian terms alone
	named   set  // its forms that stand between a determiner and a break, as nouns do; English alone
}

// vocabulary is every word of a course's documents that may tell a topic.
type vocabulary struct {
	lexicon *lexicon
	titling bool             // headings are being read, whose capitals tell nothing
	foreign bool             // the document being read is in a language without a word list
	index   map[string]int32 // by stem
	known   map[string]int32 // by folded word, so that each is stemmed once a document
	stemmed map[string]string
	terms   []term
}

func newVocabulary(x *lexicon) *vocabulary {
	return &vocabulary{lexicon: x, index: map[string]int32{}, known: map[string]int32{}, stemmed: map[string]string{}}
}

// read returns the words of a text and how many there are, stop words included.
func (v *vocabulary) read(text string) ([]word, int) {
	var all []word
	count, head := 0, false // head: a determiner, then terms
	it := words.FromString(text)
	it.Joiners(&words.Joiners[string]{Middle: []rune("-‑")})
	for it.Next() {
		token := it.Value()
		r, _ := utf8.DecodeRuneInString(token)
		if unicode.IsSpace(r) {
			continue
		}
		id := int32(breakTerm)
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			count++
			id = v.term(token, count == 1)
		}
		if id == breakTerm {
			if head && len(all) > 0 && all[len(all)-1].term != breakTerm {
				last := all[len(all)-1]
				v.terms[last.term].named[strings.ToLower(text[last.start:last.end])] = true
			}
			head = v.lexicon.determiners[strings.ToLower(token)]
		}
		if id != breakTerm || len(all) > 0 && all[len(all)-1].term != breakTerm {
			all = append(all, word{term: id, start: int32(it.Start()), end: int32(it.End())})
		}
	}
	return all, count
}

// term returns the term of a token, adding it if it is new, or breakTerm.
func (v *vocabulary) term(token string, opens bool) int32 {
	if len(token) > maxWordBytes || !strings.ContainsFunc(token, unicode.IsLetter) {
		return breakTerm
	}
	id := v.lookUp(fold(token))
	if id == breakTerm {
		return id
	}
	v.terms[id].count++
	if (opens || v.titling) && capitalized(token) {
		v.terms[id].opening[strings.ToLower(token)]++
	} else {
		v.terms[id].forms[token]++
	}
	return id
}

// lookUp returns the term of a folded word, adding it if it is new.
func (v *vocabulary) lookUp(folded string) int32 {
	if id, ok := v.known[folded]; ok {
		return id
	}
	st := v.stemOf(folded)
	id, ok := v.index[st]
	switch {
	case v.lexicon.tellsNothing(folded, st, v.foreign):
		id = breakTerm
	case !ok:
		id = int32(len(v.terms))
		v.index[st] = id
		v.terms = append(v.terms, term{stem: st, forms: map[string]int{}, opening: map[string]int{}, named: set{}})
	}
	v.known[folded] = id
	return id
}

// stemOf is stem with a memory: documents of a course share their words.
func (v *vocabulary) stemOf(folded string) string {
	st, ok := v.stemmed[folded]
	if !ok {
		st = stem(folded)
		v.stemmed[folded] = st
	}
	return st
}

// speak says whether the words that follow are in a language without a list.
func (v *vocabulary) speak(foreign bool) {
	v.foreign = foreign
	clear(v.known)
}

// capitalized reports whether a word's first letter alone is a capital.
func capitalized(token string) bool {
	_, n := utf8.DecodeRuneInString(token)
	return strings.ToLower(token[n:]) == token[n:] && strings.ToLower(token) != token
}

// spelled returns a word in its usual case: lower if the documents ever write
// it so, else as they write it most often ("SQL", "Москва").
func (v *vocabulary) spelled(token string) string {
	lower := strings.ToLower(token)
	id, ok := v.index[stem(fold(token))]
	if !ok {
		return lower
	}
	forms, best := v.terms[id].forms, ""
	for form, n := range forms {
		if form == lower {
			return lower
		}
		if strings.ToLower(form) == lower && (best == "" || n > forms[best] || n == forms[best] && form < best) {
			best = form
		}
	}
	return cmp.Or(best, lower)
}

// seenLower reports whether the documents write a word in lower case.
func (v *vocabulary) seenLower(token string) bool {
	lower := strings.ToLower(token)
	if v.lexicon.stop[fold(lower)] {
		return true
	}
	id, ok := v.index[stem(fold(token))]
	return ok && v.terms[id].forms[lower] > 0
}

// stems returns the terms of a title, stop words left out, as their stems.
func (v *vocabulary) stems(title string) []string {
	var all []string
	it := words.FromString(title)
	for it.Next() {
		token := fold(it.Value())
		if !hasWord(token) || len(token) > maxWordBytes {
			continue
		}
		if st := stem(token); !v.lexicon.tellsNothing(token, st, false) {
			all = append(all, st)
		}
	}
	return all
}
