package outlinegen

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// nameLessons gives every lesson a title of its own.
func (p *planner) nameLessons(sections []*section) {
	taken := set{}
	for _, s := range sections {
		for _, l := range s.lessons {
			if l.title == "" {
				l.title = p.phraseTitle(l, s.title, taken)
			}
			l.title = unique(p.vocabulary.calm(l.title), taken)
		}
	}
}

// phraseTitle names a lesson after its key phrase, or after its section.
func (p *planner) phraseTitle(l *lesson, fallback string, taken set) string {
	for _, phrase := range p.phrases.of(l.text(), 8) {
		if !taken[fold(phrase)] {
			return upperFirst(phrase)
		}
	}
	if fallback == "" {
		fallback = p.topic
	}
	return fallback
}

// unique returns title, with a number if it is taken, and takes it.
func unique(title string, taken set) string {
	name := title
	for n := 2; taken[fold(name)]; n++ {
		name = title + " (" + strconv.Itoa(n) + ")"
	}
	taken[fold(name)] = true
	return name
}

// balance brings sections to a readable number of lessons each and names them.
func (p *planner) balance(sections []*section) []*section {
	p.nameLoose(sections)
	for i := 0; len(sections) > 1 && i < len(sections); {
		if len(sections[i].lessons) < minSectionLessons && p.canJoin(sections, i) {
			sections = p.joinSections(sections, i)
			i = 0
			continue
		}
		i++
	}
	var all []*section
	for _, s := range sections {
		all = append(all, p.parted(s)...)
	}
	taken := set{}
	for _, s := range all {
		if s.title == "" {
			s.title = s.lessons[0].title
		}
		s.title = unique(p.vocabulary.calm(shorten(s.title, maxTitleRunes)), taken)
	}
	return all
}

// nameLoose names sections of chapters without parts after their lessons: the
// document's title is more than they hold if it has other sections.
func (p *planner) nameLoose(sections []*section) {
	for _, s := range sections {
		if !s.whole || ofDocument(sections, s.doc) == 1 {
			continue
		}
		s.title = p.partTitle(&section{}, s.lessons)
		if len(s.lessons) == 2 {
			s.title = p.joined(s.lessons[0].title, s.lessons[1].title)
		}
	}
}

// ofDocument returns how many sections come from a document.
func ofDocument(sections []*section, doc int) int {
	n := 0
	for _, s := range sections {
		if s.doc == doc {
			n++
		}
	}
	return n
}

func (p *planner) canJoin(sections []*section, i int) bool {
	_, size := neighbour(sections, i)
	return size+len(sections[i].lessons) <= maxSectionLessons
}

// neighbour returns the section next to i to join it with: of the same
// document, and the shorter one.
func neighbour(sections []*section, i int) (index, size int) {
	best, cost := -1, 0
	for _, j := range []int{i - 1, i + 1} {
		if j < 0 || j >= len(sections) {
			continue
		}
		c := len(sections[j].lessons)
		if sections[j].doc != sections[i].doc {
			c += maxSectionLessons
		}
		if best < 0 || c < cost {
			best, cost = j, c
		}
	}
	return best, len(sections[best].lessons)
}

// joinSections merges section i with its neighbour.
func (p *planner) joinSections(sections []*section, i int) []*section {
	j, _ := neighbour(sections, i)
	a, b := sections[min(i, j)], sections[max(i, j)]
	const longest = 90
	title := p.joined(a.title, b.title)
	switch {
	case a.doc == b.doc && ofDocument(sections, a.doc) == 2:
		a.title = p.sectionTitle(p.docs[a.doc])
	case utf8.RuneCountInString(title) <= longest && !a.merged && !b.merged:
		a.title, a.merged = title, true
	case len(b.lessons) > len(a.lessons):
		a.title = b.title
	}
	a.lessons = append(a.lessons, b.lessons...)
	return slices.Delete(sections, max(i, j), max(i, j)+1)
}

// parted cuts a section that is too long into even parts, each named after
// the lesson that carries most of it.
func (p *planner) parted(s *section) []*section {
	n := (len(s.lessons) + maxSectionLessons - 1) / maxSectionLessons
	if n == 1 {
		return []*section{s}
	}
	var all []*section
	for i := range n {
		from, to := i*len(s.lessons)/n, (i+1)*len(s.lessons)/n
		part := &section{title: p.partTitle(s, s.lessons[from:to]), doc: s.doc, lessons: s.lessons[from:to]}
		if i == 0 {
			part.intro = s.intro
		}
		all = append(all, part)
	}
	return all
}

func (p *planner) partTitle(s *section, part []*lesson) string {
	lead := part[0]
	for _, l := range part {
		if l.words() > lead.words() {
			lead = l
		}
	}
	if s.title == "" || strings.HasPrefix(lead.title, s.title) {
		return lead.title
	}
	return s.title + ": " + p.vocabulary.inside(lead.title)
}
