package outlinegen

import (
	"regexp"
	"slices"
	"strings"
)

// declension is a pattern of Russian noun endings after the Snowball stem.
type declension struct {
	nominative string // singular
	gender     int    // index of adjectiveEndings
	endings    []string
	telling    []string // endings that the patterns it could be confused with lack
}

// declensions returns the patterns, the more particular first.
func declensions() []declension {
	f := strings.Fields
	return []declension{
		{"ость", feminine, f("ость ости остью остей остям остями остях"), f("ость ости остью")},
		{"ие", neuter, f("ие ия ию ием ии ий иям иями иях"), f("ие ием")},
		{"ия", feminine, f("ия ии ию ией ий иям иями иях"), f("ию ией")},
		{"а", feminine, append(f("а ы и е у ой ою ам ами ах"), ""), f("ой")},
		{"", masculine, append(f("а у ом е ы и ов ам ами ах"), ""), f("ом ов")},
		{"о", neuter, append(f("о а у ом е ам ами ах"), ""), f("о")},
		{"я", feminine, f("я и е ю ей ею ь ям ями ях"), f("ею")},
		{"ь", masculine, f("ь я ю ем е и ей ям ями ях"), f("ем")},
		{"ь", feminine, f("ь и ью ей ям ями ях"), f("ью")},
	}
}

const (
	masculine = iota
	feminine
	neuter
)

// noun is the nominative singular of a term, if the documents show enough of
// its forms to tell.
type noun struct {
	form   string
	gender int
	known  bool
}

// findNouns decides for every term whether it is a noun.
func (v *vocabulary) findNouns() {
	patterns := declensions()
	for i, t := range v.terms {
		if !hasCyrillic(t.stem) {
			continue
		}
		best := 0.0
		for _, d := range patterns {
			if score := t.fits(d); score > best {
				best = score
				v.terms[i].noun = noun{t.stem + d.nominative, d.gender, true}
			}
		}
	}
}

// fits returns how well a term's forms fit a declension; 0 means not at all.
func (t term) fits(d declension) float64 {
	seen, total, kinds, told := 0, 0, 0, false
	for form, n := range t.forms {
		ending, ok := strings.CutPrefix(fold(form), t.stem)
		total += n
		if !ok || !slices.Contains(d.endings, ending) {
			continue
		}
		seen += n
		kinds++
		told = told || slices.Contains(d.telling, ending)
	}
	if seen*10 < total*8 || !told && kinds < 2 {
		return 0
	}
	score := float64(seen) / float64(total) * (1 + 0.1*float64(kinds))
	if told {
		score++
	}
	return score
}

// adjectiveEnding matches the endings of Russian adjectives and participles.
var adjectiveEnding = regexp.MustCompile(`(?:ый|ий|ой|ая|яя|ое|ее|ые|ие|ого|его|ому|ему|ым|им|ых|их|ую|юю|ой|ей|ыми|ими)$`)

// The ends of adjective stems that take other endings: "высокий", "общее".
var (
	velar   = regexp.MustCompile(`[гкхжшчщ]$`)
	sibling = regexp.MustCompile(`[жшчщ]$`)
)

// adjective returns the nominative of an adjective's form in a gender.
func adjective(form string, gender int) (string, bool) { //nolint:cyclop // one case an ending
	cut := adjectiveEnding.FindStringIndex(form)
	if cut == nil || cut[0] < 4 {
		return "", false
	}
	base, ending := form[:cut[0]], form[cut[0]:]
	softN := strings.HasSuffix(base, "н") && strings.ContainsAny(ending[:2], "яюе") && ending != "ей" && ending != "ею"
	switch {
	case gender == feminine && softN:
		return base + "яя", true
	case gender == feminine:
		return base + "ая", true
	case gender == neuter && (softN || sibling.MatchString(base)):
		return base + "ее", true
	case gender == neuter:
		return base + "ое", true
	case softN || velar.MatchString(base):
		return base + "ий", true
	}
	return base + "ый", true
}

// genitive matches forms that can hang on a noun: "карта заявки", "анализ данных".
var genitive = regexp.MustCompile(`(?:а|я|ы|и|ов|ев|ей|ий|ых|их|ого|его)$`)

// bareGenitive matches plurals without an ending: "программ".
var bareGenitive = regexp.MustCompile(`[бвгджзклмнпрстфхцчшщ]$`)

// nominative returns a Russian phrase as it stands in a dictionary, or "" if
// it does not look like a noun with what belongs to it.
func (v *vocabulary) nominative(g gram, form string) string { //nolint:cyclop // one case an ending
	parts := strings.Fields(form)
	if len(parts) != g.size() {
		return ""
	}
	head := 0
	for head < len(parts) && v.adjectival(g[head], parts[head]) {
		head++
	}
	if head == len(parts) {
		return ""
	}
	if !hasCyrillic(parts[head]) {
		return v.respell(parts)
	}
	noun := v.terms[g[head]].noun
	if !noun.known || strings.Contains(parts[head], "-") {
		return ""
	}
	for i := range head {
		form, ok := adjective(parts[i], noun.gender)
		if !ok {
			return ""
		}
		parts[i] = form
	}
	for i := head + 1; i < len(parts); i++ {
		if !v.belongs(g[i], parts[i]) {
			return ""
		}
		parts[i] = v.spelled(parts[i])
	}
	parts[head] = noun.form
	if v.properNoun(g[head]) {
		parts[head] = upperFirst(noun.form)
	}
	return strings.Join(parts, " ")
}

// belongs reports whether a word's form can hang on the noun before it.
func (v *vocabulary) belongs(t int32, form string) bool {
	if !hasCyrillic(form) {
		return true
	}
	if !genitive.MatchString(form) && !bareGenitive.MatchString(form) {
		return false
	}
	noun := v.terms[t].noun
	return v.adjectival(t, form) || noun.known && form != noun.form
}

// adjectival reports whether a word stands as an adjective: by its ending,
// unless its other forms make it a noun.
func (v *vocabulary) adjectival(t int32, form string) bool {
	if !hasCyrillic(form) || !adjectiveEnding.MatchString(form) {
		return false
	}
	return !v.terms[t].noun.known
}

// properNoun reports whether the documents never write a term in lower case.
func (v *vocabulary) properNoun(t int32) bool {
	for form := range v.terms[t].forms {
		if form == strings.ToLower(form) {
			return false
		}
	}
	return true
}
