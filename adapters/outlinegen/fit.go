package outlinegen

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"lectern/domain"
)

// mergeAlike joins sections, and lessons, whose titles say the same: documents
// of one course often cover the same ground.
func (p *planner) mergeAlike(sections []*section) []*section {
	byTitle := map[string]*section{}
	seen := p.newTitles()
	var kept []*section
	for _, s := range sections {
		key := strings.Join(p.vocabulary.stems(s.title), " ")
		if first := byTitle[key]; first != nil && key != "" {
			first.lessons = append(first.lessons, s.lessons...)
			continue
		}
		byTitle[key] = s
		kept = append(kept, s)
	}
	for _, s := range kept {
		s.lessons = slices.DeleteFunc(s.lessons, func(l *lesson) bool {
			first := seen.claim(l)
			if first == nil || first == l {
				return false
			}
			first.passages = append(first.passages, l.passages...)
			return true
		})
	}
	return drained(kept)
}

// titles finds lessons whose titles share most of their words.
type titles struct {
	vocabulary *vocabulary
	byStem     map[string][]*lesson
	stems      map[*lesson][]string
}

func (p *planner) newTitles() titles {
	return titles{p.vocabulary, map[string][]*lesson{}, map[*lesson][]string{}}
}

// claim returns the earlier lesson of nearly the same title, or l itself.
func (t titles) claim(l *lesson) *lesson {
	stems := t.vocabulary.stems(l.title)
	slices.Sort(stems)
	stems = slices.Compact(stems)
	common := map[*lesson]int{}
	for _, st := range stems {
		for _, other := range t.byStem[st] {
			common[other]++
			// Three in four of all words the two titles have.
			if n := common[other]; 4*n >= 3*(len(stems)+len(t.stems[other])-n) {
				return other
			}
		}
	}
	t.stems[l] = stems
	for _, st := range stems {
		if len(t.byStem[st]) < 50 {
			t.byStem[st] = append(t.byStem[st], l)
		}
	}
	return l
}

// fit joins lessons that rest on too little text with a neighbour, as far as
// the number of lessons allows.
func (p *planner) fit(sections []*section, target int) {
	least := domain.MinLessons
	if p.wanted > 0 {
		least = target
	}
	for n := countLessons(sections); n > least; n-- {
		s, i := smallest(sections, minSectionLessons)
		if s == nil || s.lessons[i].words() >= minLessonWords {
			break
		}
		p.join(s, i)
	}
	if p.wanted == 0 {
		p.reduce(&sections, max(least, target+target/2))
		p.extend(sections, max(least, target-target/4))
	}
}

// smallest returns the lesson with the least text of the sections that have
// at least so many lessons.
func smallest(sections []*section, lessons int) (*section, int) {
	var best *section
	at, least := 0, 0
	for _, s := range sections {
		if len(s.lessons) < lessons {
			continue
		}
		for i, l := range s.lessons {
			if n := l.words(); best == nil || n < least {
				best, at, least = s, i, n
			}
		}
	}
	return best, at
}

// join merges lesson i with its smaller neighbour. The larger one, or both if
// they are short, give the title.
func (p *planner) join(s *section, i int) {
	if i == len(s.lessons)-1 || i > 0 && s.lessons[i-1].words() < s.lessons[i+1].words() {
		i--
	}
	a, b := s.lessons[i], s.lessons[i+1]
	const shortTitle = 65
	title := p.joined(a.title, b.title)
	switch {
	case utf8.RuneCountInString(title) <= shortTitle && len(a.passages)+len(b.passages) == 2 && !strings.Contains(title, ". "):
		a.title = title
	case a.title == "" || b.title != "" && b.words() > a.words():
		a.title = b.title
	}
	a.passages = append(a.passages, b.passages...)
	s.lessons = slices.Delete(s.lessons, i+1, i+2)
}

// joined returns two titles as one: with the language's "and" where that
// reads well, else one after the other.
func (p *planner) joined(a, b string) string {
	and := p.locale.Texts.And
	switch {
	case a == "" || b == "":
		return a + b
	case hasCyrillic(a) != hasCyrillic(and) || hasCyrillic(b) != hasCyrillic(and), // another language's titles
		strings.Contains(a, and) || strings.Contains(b, and) || strings.ContainsAny(a+b, ":?!,;"):
		return a + ". " + b
	}
	inside := p.vocabulary.inside(b)
	if hasCyrillic(b) && inside == b {
		return a + ". " + b // a name, or it can't be told
	}
	return a + and + inside
}

// reduce joins lessons, the smallest first, until limit are left.
func (p *planner) reduce(sections *[]*section, limit int) {
	for n := countLessons(*sections); n > limit; {
		s, i := smallest(*sections, minSectionLessons+1)
		if s == nil {
			s, i = smallest(*sections, minSectionLessons)
		}
		if s == nil {
			if len(*sections) < 2 {
				return
			}
			*sections = p.joinSections(*sections, least(*sections))
			continue
		}
		p.join(s, i)
		n--
	}
}

// least returns the index of the section with the least text.
func least(sections []*section) int {
	best := 0
	for i, s := range sections {
		if s.words() < sections[best].words() {
			best = i
		}
	}
	return best
}

// extend splits lessons, the largest first, until there are as many as wanted
// or none can be split.
func (p *planner) extend(sections []*section, wanted int) {
	solid := map[*lesson]bool{}
	for n := countLessons(sections); n < wanted; {
		s, i := largest(sections, solid)
		if s == nil {
			return
		}
		rest := p.split(s.lessons[i])
		if rest == nil {
			solid[s.lessons[i]] = true
			continue
		}
		s.lessons = slices.Insert(s.lessons, i+1, rest)
		n++
	}
}

func largest(sections []*section, solid map[*lesson]bool) (*section, int) {
	var best *section
	at, most := 0, 2*minLessonWords
	for _, s := range sections {
		for i, l := range s.lessons {
			if n := l.words(); n >= most && !solid[l] {
				best, at, most = s, i, n+1
			}
		}
	}
	return best, at
}

// split cuts a lesson in two, between passages or within its only one, and
// returns the second; nil if it can't be cut. What stands under one heading is
// one lesson unless it is long.
func (p *planner) split(l *lesson) *lesson {
	long := 2*l.words() >= 3*p.profile.LessonWords
	if cut := middle(l.passages, func(q passage) int { return q.words }); cut > 0 {
		return p.splitPassages(l, cut, long)
	}
	if len(l.passages) != 1 || !long {
		return nil
	}
	whole := l.passages[0]
	cut := middle(whole.text, func(s sentence) int { return s.length })
	if cut == 0 || wordCount(whole.text[:cut]) < minLessonWords/2 || wordCount(whole.text[cut:]) < minLessonWords/2 {
		return nil
	}
	head, tail := whole, whole
	head.text, tail.text = whole.text[:cut], whole.text[cut:]
	head.words, tail.words = wordCount(head.text), wordCount(tail.text)
	l.passages = []passage{head}
	rest := &lesson{passages: []passage{tail}}
	rest.title = p.subtopic(l.title, rest)
	return rest
}

// splitPassages cuts a lesson before one of its passages. The two halves need
// headings of their own, unless the lesson is long.
func (p *planner) splitPassages(l *lesson, cut int, long bool) *lesson {
	rest := &lesson{passages: slices.Clone(l.passages[cut:])}
	first, second := leading(l.passages[:cut]), leading(rest.passages)
	switch {
	case second != "" && second != l.title:
		rest.title = second
	case second != "" && first != "":
		l.title, rest.title = first, second
	case !long:
		return nil
	default:
		rest.title = p.subtopic(l.title, rest)
	}
	l.passages = l.passages[:cut:cut]
	return rest
}

// middle returns the index at which a list is best cut in two halves of equal
// size, or 0 if it has a single item.
func middle[T any](list []T, size func(T) int) int {
	total := 0
	for _, item := range list {
		total += size(item)
	}
	best, gap, before := 0, 0, 0
	for i := 1; i < len(list); i++ {
		before += size(list[i-1])
		if d := max(2*before-total, total-2*before); best == 0 || d < gap {
			best, gap = i, d
		}
	}
	return best
}

// leading returns the title of the largest passage that has one.
func leading(list []passage) string {
	titled := slices.DeleteFunc(slices.Clone(list), func(q passage) bool { return q.title == "" })
	if len(titled) == 0 {
		return ""
	}
	return slices.MaxFunc(titled, func(a, b passage) int { return cmp.Compare(a.words, b.words) }).title
}

// subtopic returns a title for a part of a lesson: its key phrase, after the
// lesson's own title if there is one; "" leaves the naming for later.
func (p *planner) subtopic(title string, part *lesson) string {
	if title == "" {
		return ""
	}
	stems := p.vocabulary.stems(title)
	for _, phrase := range p.phrases.of(part.text(), 6) {
		fresh := slices.DeleteFunc(p.vocabulary.stems(phrase), func(st string) bool { return slices.Contains(stems, st) })
		if len(fresh) > 0 && strings.Contains(phrase, " ") {
			return shorten(title+": "+phrase, maxTitleRunes)
		}
	}
	return fill(p.locale.Texts.Continued, vars{"title": title})
}
