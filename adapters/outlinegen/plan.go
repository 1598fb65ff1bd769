package outlinegen

import (
	"math"
	"slices"

	"lectern/domain"
)

// passage is a stretch of one document's text under one heading.
type passage struct {
	title  string
	source domain.Source
	text   []sentence
	words  int
}

// lesson is a planned lesson and the material it rests on: passages of the
// documents, a recipe, or both.
type lesson struct {
	title    string
	passages []passage
	recipe   *recipe
	reviews  []*lesson // on the documents, whose material a recipe's lesson works with
	topics   []string  // its key topics, if an analysis names them
}

// section is a planned section.
type section struct {
	title   string
	doc     int        // index of the document it comes from
	intro   []sentence // what the document says before the section's lessons
	outcome string     // what it leads to, if a recipe says so
	merged  bool       // the title is two sections' already
	whole   bool       // the title is the document's
	lessons []*lesson
}

func (l *lesson) words() int {
	n := 0
	for _, p := range l.passages {
		n += p.words
	}
	return n
}

func (l *lesson) text() []sentence {
	var all []sentence
	for _, p := range l.passages {
		all = append(all, p.text...)
	}
	return all
}

func (s *section) words() int {
	n := 0
	for _, l := range s.lessons {
		n += l.words()
	}
	return n
}

func countLessons(sections []*section) int {
	n := 0
	for _, s := range sections {
		n += len(s.lessons)
	}
	return n
}

// planner plans one course.
type planner struct {
	*corpus
	locale  *locale
	profile profile
	topic   string // the course's, short enough for other titles
	wanted  int    // lessons; 0 leaves it open
}

// sectionTitle names what a whole document becomes. A file's name is no title
// if the file is all there is.
func (p *planner) sectionTitle(d *document) string {
	if d.named || len(p.docs) > 1 {
		return d.title
	}
	return p.topic
}

// plan returns the sections and lessons of a course.
func (p *planner) plan() []*section {
	if len(p.docs) == 0 {
		return p.planTitle()
	}
	target := p.target()
	sections := p.layout(target)
	sections = p.mergeAlike(sections)
	p.fit(sections, target)
	sections = drained(sections)
	if p.wanted > 0 {
		p.reduce(&sections, p.wanted)
		p.extend(sections, p.wanted)
	}
	p.nameLessons(sections)
	sections = p.balance(sections)
	if missing := domain.MinLessons - countLessons(sections); missing > 0 {
		sections = append(sections, p.complete(missing, sections)...)
	}
	return sections
}

// target returns the number of lessons to aim at.
func (p *planner) target() int {
	if p.wanted > 0 {
		return p.wanted
	}
	return min(max(p.words()/p.profile.LessonWords, domain.MinLessons), 60)
}

// layout cuts the documents at the depth of headings that comes closest to
// the target: a lesson each document, each chapter, or each part of a chapter.
func (p *planner) layout(target int) []*section {
	var best []*section
	bestCost := math.Inf(1)
	for _, cut := range []func() []*section{p.byDocument, p.byChapter, p.byPart} {
		sections := cut()
		n := countLessons(sections)
		cost := math.Abs(math.Log(float64(n) / float64(target)))
		if len(sections) < 3 {
			cost += 0.4 // too coarse to be found one's way in
		}
		if cost < bestCost {
			best, bestCost = sections, cost
		}
	}
	return best
}

func (p *planner) byDocument() []*section {
	var all []*section
	for i, d := range p.docs {
		l := &lesson{title: d.own(), passages: passages(d.intro, "")}
		for _, u := range d.units {
			l.passages = append(l.passages, passages(u, u.title)...)
		}
		all = append(all, &section{title: p.sectionTitle(d), whole: true, doc: i, intro: d.intro.text, lessons: []*lesson{l}})
	}
	return all
}

func (p *planner) byChapter() []*section {
	var all []*section
	for i, d := range p.docs {
		s := &section{title: p.sectionTitle(d), whole: true, doc: i, intro: d.intro.text, lessons: p.opening(d)}
		for _, u := range d.units {
			s.lessons = append(s.lessons, lessonOf(u))
		}
		all = append(all, s)
	}
	return all
}

func (p *planner) byPart() []*section {
	var all []*section
	for i, d := range p.docs {
		loose := &section{title: p.sectionTitle(d), whole: true, doc: i, intro: d.intro.text, lessons: p.opening(d)}
		for _, u := range d.units {
			if !divided(u) {
				loose.lessons = append(loose.lessons, lessonOf(u))
				continue
			}
			all = appendFilled(all, loose)
			loose = &section{title: p.sectionTitle(d), whole: true, doc: i}
			all = append(all, chapter(u, i))
		}
		all = appendFilled(all, loose)
	}
	return all
}

// divided reports whether a unit has parts that could be lessons.
func divided(u *unit) bool {
	titled := 0
	for _, part := range u.parts {
		if part.title != "" {
			titled++
		}
	}
	return titled > 1
}

// chapter makes a section of a unit and lessons of its parts.
func chapter(u *unit, doc int) *section {
	s := &section{title: u.title, doc: doc, intro: u.text}
	for _, part := range u.parts {
		if part.title == "" && len(s.lessons) > 0 {
			last := s.lessons[len(s.lessons)-1]
			last.passages = append(last.passages, passages(part, "")...)
			continue
		}
		s.lessons = append(s.lessons, lessonOf(part))
	}
	if u.words > 0 {
		own := passage{source: u.source, text: u.text, words: u.words}
		s.lessons[0].passages = slices.Insert(s.lessons[0].passages, 0, own)
	}
	return s
}

// opening returns the lesson that a document's introduction makes if it is
// long enough, or if there is nothing else.
func (p *planner) opening(d *document) []*lesson {
	if d.intro.words == 0 || len(d.units) > 0 && d.intro.words < longIntroWords {
		return nil
	}
	title := d.own()
	if d.named && len(d.units) > 0 {
		title = fill(p.locale.Texts.Introduction, vars{"title": d.title})
	}
	return []*lesson{{title: title, passages: passages(d.intro, "")}}
}

func lessonOf(u *unit) *lesson {
	return &lesson{title: u.title, passages: passages(u, u.title)}
}

// passages returns a unit's own text and its parts', in reading order.
func passages(u *unit, title string) []passage {
	var all []passage
	if u.words > 0 || len(u.parts) == 0 && title != "" {
		all = append(all, passage{title: title, source: u.source, text: u.text, words: u.words})
	}
	for _, part := range u.parts {
		all = append(all, passages(part, part.title)...)
	}
	return all
}

func appendFilled(all []*section, s *section) []*section {
	if len(s.lessons) == 0 {
		return all
	}
	return append(all, s)
}

func drained(sections []*section) []*section {
	return slices.DeleteFunc(sections, func(s *section) bool { return len(s.lessons) == 0 })
}
