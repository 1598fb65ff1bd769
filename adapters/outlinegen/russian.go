package outlinegen

import (
	"cmp"
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
		{"ие", neuter, f("ие ия ию ием ии ий иям иями иях"), f("ием")},
		{"ия", feminine, f("ия ии ию ией ий иям иями иях"), f("ией")},
		{"а", feminine, append(f("а ы и е у ой ою ей ам ами ах"), ""), f("ой")},
		{"", masculine, append(f("а у ом ем е ы и ов ей ам ами ах"), ""), f("ом ов")},
		{"о", neuter, append(f("о а у ом е ам ами ах"), ""), nil},
		{"я", feminine, f("я и е ю ей ею ь ям ями ях"), nil},
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
		best, forms := 0.0, t.endings()
		for _, d := range patterns {
			if score := d.fits(forms); score > best {
				best = score
				v.terms[i].noun = noun{t.stem + d.nominative, d.gender, true}
			}
		}
	}
	v.findFleetingNouns()
}

// findFleetingNouns joins the halves of nouns like "список, списка" and
// "заявка, заявок", which have two stems, as far as they can be told.
func (v *vocabulary) findFleetingNouns() {
	for i, t := range v.terms {
		end := len(t.stem) - len("к")
		if end < 0 || !strings.HasSuffix(t.stem, "к") && !strings.HasSuffix(t.stem, "ц") {
			continue
		}
		for _, vowel := range []string{"о", "е"} {
			full, ok := v.index[t.stem[:end]+vowel+t.stem[end:]]
			if !ok {
				continue
			}
			n := noun{}
			switch forms := t.endings(); {
			case forms["ой"] > 0:
				n = noun{t.stem + "а", feminine, true}
			case forms["ом"]+forms["ов"]+forms["ем"] > 0:
				n = noun{v.terms[full].stem, masculine, true}
			}
			v.terms[i].noun, v.terms[full].noun = n, n
		}
	}
}

// endings counts what follows the stem in a term's forms. Forms that don't
// begin with the stem count as "?".
func (t term) endings() map[string]int {
	all := map[string]int{}
	for _, forms := range []map[string]int{t.forms, t.opening} {
		for form, n := range forms {
			ending, ok := strings.CutPrefix(fold(form), t.stem)
			if !ok {
				ending = "?"
			}
			all[ending] += n
		}
	}
	return all
}

// fits returns how well the endings of a term fit a declension; 0 means not at
// all. Telling endings decide; without them the nominative must occur.
func (d declension) fits(forms map[string]int) float64 {
	seen, kinds := d.matches(forms)
	total := 0
	for _, n := range forms {
		total += n
	}
	told := slices.ContainsFunc(d.telling, func(ending string) bool { return forms[ending] > 0 })
	nominative := forms[d.nominative]
	sure := told && (nominative > 0 || kinds > 2 && d.nominative != "ь")
	if seen*10 < total*8 || !sure && (kinds < 2 || nominative == 0 || !likely(d.nominative, forms, total)) {
		return 0
	}
	score := float64(seen+nominative) / float64(total)
	if sure {
		score++
	}
	return score
}

// matches returns how many of the forms, and how many kinds of them, have one
// of the declension's endings.
func (d declension) matches(forms map[string]int) (seen, kinds int) {
	for _, ending := range d.endings {
		if n := forms[ending]; n > 0 {
			seen += n
			kinds++
		}
	}
	return seen, kinds
}

// likely decides between "договор, договора" and "программа, программ", or
// "родитель, родителя" and "неделя, недель", whose forms look alike: the short
// form is the masculine's commonest and the feminine's rarest.
func likely(nominative string, forms map[string]int, total int) bool {
	short := map[string]string{"": "", "а": "", "ь": "ь", "я": "ь"}
	end, ambiguous := short[nominative]
	if !ambiguous {
		return true
	}
	if nominative == "а" || nominative == "я" {
		return forms[end]*10 <= total
	}
	if forms["ы"]+forms["и"] > 0 {
		return forms[end]*5 >= total*3
	}
	return forms[end]*5 >= total*2
}

// adjectiveStem returns how many bytes of a word come before the ending of a
// Russian adjective or participle; -1 if it has none.
func adjectiveStem(word string) int {
	for _, ending := range [...]string{
		"ого", "его", "ому", "ему", "ыми", "ими", "ый", "ий", "ой", "ая", "яя", "ое", "ее",
		"ые", "ие", "ым", "им", "ых", "их", "ую", "юю", "ей",
	} {
		if strings.HasSuffix(word, ending) {
			return len(word) - len(ending)
		}
	}
	return -1
}

// The ends of adjective stems that take other endings: "высокий", "общее".
var (
	velar   = regexp.MustCompile(`[гкхжшчщ]$`)
	sibling = regexp.MustCompile(`[жшчщ]$`)
)

// adjective returns the nominative of an adjective's form in a gender.
func adjective(form string, gender int) (string, bool) { //nolint:cyclop // one case an ending
	cut := adjectiveStem(form)
	if cut < 4 {
		return "", false
	}
	base, ending := form[:cut], form[cut:]
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
	parts[head] = v.dotted(g[head], noun.form)
	if v.properNoun(g[head]) {
		parts[head] = upperFirst(noun.form)
	}
	return strings.Join(parts, " ")
}

// dotted returns a noun with the ё that the documents write in it.
func (v *vocabulary) dotted(t int32, form string) string {
	best := ""
	for _, forms := range []map[string]int{v.terms[t].forms, v.terms[t].opening} {
		for f := range forms {
			if f = strings.ToLower(f); fold(f) == form && f != form && (best == "" || f < best) {
				best = f
			}
		}
	}
	return cmp.Or(best, form)
}

// inAgreement matches an adjective and a noun that can only be nominative, or
// an accusative like it.
var inAgreement = regexp.MustCompile(`^(?:\p{L}{3,}(?:ая|яя) \p{L}{2,}[аяь]|\p{L}{3,}[ыи]й \p{L}{2,}[бвгджзклмнпрстфхцчшщй]|\p{L}{3,}[ое]е \p{L}{2,}[ое]|\p{L}{3,}[ыи]е \p{L}{2,}[ыия])$`)

// agreeing returns the forms of a phrase that are nominative by the look of
// them, for documents too short to show how their nouns decline.
func agreeing(forms map[string]int) map[string]int {
	some := map[string]int{}
	for form, n := range forms {
		if inAgreement.MatchString(form) && !strings.HasSuffix(form, "ли") && !strings.HasSuffix(form, "ть") {
			some[form] = n
		}
	}
	return some
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
	if !hasCyrillic(form) || adjectiveStem(form) < 0 {
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
	return len(v.terms[t].forms) > 0
}
