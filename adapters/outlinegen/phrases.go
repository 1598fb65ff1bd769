package outlinegen

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxGram bounds the words of a key phrase.
const maxGram = 4

// termOfTwo is how much more a phrase of several words tells than a word.
const termOfTwo = 3

// gram is a run of terms; unused places hold breakTerm.
type gram [maxGram]int32

func (g gram) size() int {
	n := 0
	for n < maxGram && g[n] != breakTerm {
		n++
	}
	return n
}

// sharesAll reports whether one of two grams has no term that the other lacks.
func (g gram) sharesAll(other gram) bool {
	a, b := g[:g.size()], other[:other.size()]
	if len(a) > len(b) {
		a, b = b, a
	}
	return !slices.ContainsFunc(a, func(t int32) bool { return !slices.Contains(b, t) })
}

// phrase is a run of terms that recurs.
type phrase struct {
	gram    gram
	text    string // as a reader would look it up
	count   int
	heading bool // occurs in a heading
	forms   map[string]int
	score   float64
}

// phraseTable holds a course's key phrases, best first.
type phraseTable struct {
	ranked []*phrase
	byGram map[gram]*phrase
}

// learn finds the key phrases of a text by their C-value: how often a phrase
// occurs other than as part of a longer one, times the weight of its terms.
func (v *vocabulary) learn(headings, body []sentence) phraseTable {
	body = sample(body, maxPhraseWords)
	v.findNouns()
	v.weigh(slices.Concat(headings, body))
	counts := map[gram]*phrase{}
	v.countGrams(counts, headings, true)
	v.countGrams(counts, body, false)
	least := 1
	if wordCount(body) > 400 {
		least = 2
	}
	return v.rankPhrases(counts, least)
}

// sample returns evenly spread sentences of at most limit words in all.
func sample(list []sentence, limit int) []sentence {
	step := wordCount(list)/limit + 1
	if step == 1 {
		return list
	}
	var some []sentence
	for i := 0; i < len(list); i += step {
		some = append(some, list[i])
	}
	return some
}

func wordCount(list []sentence) int {
	n := 0
	for _, s := range list {
		n += s.length
	}
	return n
}

func (v *vocabulary) countGrams(counts map[gram]*phrase, list []sentence, heading bool) {
	for _, s := range list {
		eachGram(s, func(g gram, surface string) {
			p := counts[g]
			if p == nil {
				p = &phrase{gram: g, forms: map[string]int{}}
				counts[g] = p
			}
			p.count++
			p.heading = p.heading || heading
			p.forms[strings.ToLower(surface)]++
		})
	}
}

// eachGram calls f for every run of up to three terms, or four characters of
// a script without spaces, and the text it stands for.
func eachGram(s sentence, f func(gram, string)) {
	for i, w := range s.words {
		r, _ := utf8.DecodeRuneInString(s.text[w.start:])
		longest := maxGram - 1
		if ideographic(r) {
			longest = maxGram
		}
		g := gram{breakTerm, breakTerm, breakTerm, breakTerm}
		for n := 0; n < longest && i+n < len(s.words) && s.words[i+n].term != breakTerm; n++ {
			g[n] = s.words[i+n].term
			if surface := s.text[w.start:s.words[i+n].end]; utf8.RuneCountInString(surface) > 1 {
				f(g, surface)
			}
		}
	}
}

func (v *vocabulary) rankPhrases(counts map[gram]*phrase, least int) phraseTable {
	inside, longer := nesting(counts, least)
	table := phraseTable{byGram: map[gram]*phrase{}}
	for g, p := range counts {
		if p.count < least && !p.heading || g.size() == 1 && p.count < max(least*least, 2) || g.size() > 2*least {
			continue
		}
		if p.text = v.lookup(p); p.text == "" {
			continue
		}
		alone := float64(p.count)
		if longer[g] > 0 {
			alone -= float64(inside[g]) / float64(longer[g])
		}
		p.score = alone * math.Log2(1+float64(g.size())) * v.meanWeight(g)
		if g.size() > 1 {
			p.score *= termOfTwo
		}
		if p.heading {
			p.score = 1.5*p.score + 1
		}
		table.byGram[g] = p
		table.ranked = append(table.ranked, p)
	}
	slices.SortFunc(table.ranked, func(a, b *phrase) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.text, b.text), slices.Compare(a.gram[:], b.gram[:]))
	})
	return table
}

// nesting returns, for each gram, how often it occurs within longer phrases
// that recur, and how many of those there are.
func nesting(counts map[gram]*phrase, least int) (inside, longer map[gram]int) {
	inside, longer = map[gram]int{}, map[gram]int{}
	for g, p := range counts {
		n := g.size()
		if p.count < least || n == 1 {
			continue
		}
		for from := range n {
			for to := from + 1; to <= n; to++ {
				if to-from == n {
					continue
				}
				part := gram{breakTerm, breakTerm, breakTerm, breakTerm}
				copy(part[:], g[from:to])
				inside[part] += p.count
				longer[part]++
			}
		}
	}
	return inside, longer
}

func (v *vocabulary) meanWeight(g gram) float64 {
	sum := 0.0
	for _, t := range g[:g.size()] {
		sum += v.terms[t].weight
	}
	return sum / float64(g.size())
}

// lookup returns a phrase as a reader would look it up, or "" if it names
// nothing: Russian in the nominative, else its commonest form.
func (v *vocabulary) lookup(p *phrase) string {
	form := commonest(p.forms)
	if v.lexicon.counts(form) {
		return ""
	}
	if hasCyrillic(form) && !v.foreign {
		return cmp.Or(v.nominative(p.gram, form), v.respell(strings.Fields(commonest(agreeing(p.forms)))))
	}
	parts := strings.Fields(form)
	last := parts[len(parts)-1]
	if last[0] < utf8.RuneSelf && !v.foreign && !v.englishNoun(p, last) {
		return ""
	}
	return v.respell(parts)
}

// englishNoun reports whether an English phrase ends in what its document uses
// as a noun. What a document says once and in no heading may be anything.
func (v *vocabulary) englishNoun(p *phrase, last string) bool {
	for _, end := range []string{"'s", "’s", "s'", "s’", "ly", "ed", "able", "ible", "less", "ful", "ous"} {
		if strings.HasSuffix(last, end) && !strings.HasSuffix(last, "table") {
			return false
		}
	}
	forms := v.terms[p.gram[p.gram.size()-1]].named
	named := forms[last] || forms[last+"s"] || forms[strings.TrimSuffix(last, "s")]
	if p.gram.size() > 1 {
		return p.heading || p.count > 1 && named
	}
	return named && !strings.HasSuffix(last, "ing")
}

// counts reports whether a phrase has a number in words: "thirty-two seconds".
func (x *lexicon) counts(phrase string) bool {
	return strings.ContainsFunc(phrase, unicode.IsDigit) || slices.ContainsFunc(strings.Fields(phrase), func(w string) bool {
		tens, ones, both := strings.Cut(w, "-")
		return both && x.weak[stem(fold(tens))] && x.weak[stem(fold(ones))]
	})
}

func (v *vocabulary) respell(parts []string) string {
	for i, p := range parts {
		parts[i] = v.spelled(p)
	}
	return strings.Join(parts, " ")
}

func commonest(forms map[string]int) string {
	best := ""
	for form, n := range forms {
		if best == "" || n > forms[best] || n == forms[best] && form < best {
			best = form
		}
	}
	return best
}

func hasCyrillic(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) })
}

// top returns up to limit phrases that share no words with each other.
func (t phraseTable) top(limit int) []string {
	return distinct(t.ranked, limit)
}

func distinct(ranked []*phrase, limit int) []string {
	var chosen []*phrase
	var texts []string
	for _, p := range ranked {
		if len(chosen) == limit {
			break
		}
		if !slices.ContainsFunc(chosen, func(c *phrase) bool { return c.gram.sharesAll(p.gram) }) {
			chosen = append(chosen, p)
			texts = append(texts, p.text)
		}
	}
	return texts
}

// of returns up to limit phrases that tell what these sentences are about,
// rather than the rest of the course.
func (t phraseTable) of(list []sentence, limit int) []string {
	here := map[*phrase]int{}
	for _, s := range list {
		eachGram(s, func(g gram, _ string) {
			if p := t.byGram[g]; p != nil {
				here[p]++
			}
		})
	}
	ranked := make([]*phrase, 0, len(here))
	telling := map[*phrase]float64{}
	for p, n := range here {
		if p.gram.size() == 1 && n == 1 && !p.heading {
			continue // a word in passing
		}
		ranked = append(ranked, p)
		share := float64(n) / float64(max(p.count, n))
		telling[p] = math.Sqrt(max(p.score, 0)) * math.Log2(1+float64(n)) * math.Sqrt(share)
	}
	slices.SortFunc(ranked, func(a, b *phrase) int {
		return cmp.Or(cmp.Compare(telling[b], telling[a]), cmp.Compare(a.text, b.text), slices.Compare(a.gram[:], b.gram[:]))
	})
	return distinct(ranked, limit)
}
