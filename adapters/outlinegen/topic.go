package outlinegen

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// What titles say before they come to their topic.
var (
	englishCourse = regexp.MustCompile(`(?i)^(?:(?:an?|the)\s+)?(?:(?:online|full|complete|short|crash|training|introductory|beginner'?s)\s+)*(?:course|training|class|workshop|tutorial|guide)(?:\s+(?:on|in|about|to|for)\s+|\s*[:—–-]\s*)`)
	russianCourse = regexp.MustCompile(`(?i)^(?:(?:онлайн|видео|экспресс|мини)-?)?(?:курс|тренинг|семинар|программа обучения)\s*[:—–-]\s*`)
	russianBy     = regexp.MustCompile(`(?i)^(?:(?:онлайн|видео|экспресс|мини)-?)?(?:курс|курсы|тренинг|обучение)\s+по\s+`)
)

// topicOf returns what a course is about: its title without "A course on",
// short enough to stand in other titles.
func topicOf(title string) string {
	title = plain(clean(title))
	topic := title
	for _, r := range []*regexp.Regexp{englishCourse, russianCourse} {
		topic = topic[len(r.FindString(topic)):]
	}
	if by := russianBy.FindString(topic); by != "" {
		if named, ok := fromDative(topic[len(by):]); ok {
			topic = named
		}
	}
	if !hasWord(topic) {
		topic = title
	}
	return upperFirst(shorten(strings.Trim(topic, " .,:;—–-"), maxTopicRunes))
}

// dative matches the ends of dative nouns, the longer ones first. What is
// missing here is too uncertain to turn.
var dative = regexp.MustCompile(`^(.*?)(иям|ениям|ам|ям|ению|анию|янию|ствию|тию|ости|ии|ингу|менту|ству|у|е)$`)

// fromDative turns "холодным продажам в рознице" into "холодные продажи в
// рознице": the adjectives and the noun that "по" governs. It reports false
// where it can't be sure.
func fromDative(phrase string) (string, bool) {
	parts := strings.Fields(phrase)
	for i, p := range parts {
		if !hasCyrillic(p) {
			return phrase, i == 0
		}
		if dativeAdjective.MatchString(p) {
			continue
		}
		noun, ending, ok := nominativeNoun(p)
		if !ok {
			return "", false
		}
		for j := range i {
			if parts[j], ok = agree(parts[j], ending); !ok {
				return "", false
			}
		}
		parts[i] = noun
		return strings.Join(parts, " "), true
	}
	return "", false
}

// Stems whose dative leaves no doubt: "языку" is "язык" while "делу" is
// "дело"; "физике" is "физика" while "кухне" is "кухня".
var (
	surelyMasculine = regexp.MustCompile(`(?:изм|айн|лиз|язык|спорт|аудит|бизнес|код|вокал|театр|перевод|проект|учет|учёт|контент|софт)$`)
	surelyHard      = regexp.MustCompile(`(?:[гкхтдсзрвбпмш]|ин)$`)
)

var dativeAdjective = regexp.MustCompile(`(?:ому|ему|ным|им|ым|ой|ей)$`)

// nominativeNoun returns the nominative of a dative noun and the kind of
// ending an adjective takes beside it.
func nominativeNoun(word string) (noun, kind string, ok bool) { //nolint:cyclop // one case an ending
	m := dative.FindStringSubmatch(word)
	if m == nil || utf8.RuneCountInString(m[1]) < 2 {
		return "", "", false
	}
	base := m[1]
	switch m[2] {
	case "ам":
		if velar.MatchString(base) {
			return base + "и", "plural", true
		}
		return base + "ы", "plural", true
	case "ям":
		return base + "и", "plural", true
	case "иям", "ениям":
		return strings.TrimSuffix(word, "ям") + "я", "plural", true
	case "ению", "анию", "янию", "ствию", "тию":
		return strings.TrimSuffix(word, "ю") + "е", "neuter", true
	case "ости":
		return base + "ость", "feminine", true
	case "ии":
		return base + "ия", "feminine", true
	case "ству":
		return base + "ство", "neuter", true
	case "ингу", "менту":
		return strings.TrimSuffix(word, "у"), "masculine", true
	case "у":
		return base, "masculine", surelyMasculine.MatchString(base)
	case "е":
		return base + "а", "feminine", surelyHard.MatchString(base)
	}
	return "", "", false
}

// agree puts a dative adjective into the nominative beside a noun.
func agree(word, kind string) (string, bool) {
	cut := dativeAdjective.FindStringIndex(word)
	if cut == nil {
		return "", false
	}
	base, ending := word[:cut[0]], word[cut[0]:]
	if ending == "ным" {
		base, ending = base+"н", "ым"
	}
	if kind == "plural" {
		if ending == "им" {
			return base + "ие", true
		}
		return base + "ые", ending == "ым"
	}
	gender := map[string]int{"masculine": masculine, "feminine": feminine, "neuter": neuter}[kind]
	return adjective(base+map[int]string{masculine: "ого", feminine: "ой", neuter: "ого"}[gender], gender)
}
