package outlinegen

import (
	"lectern/domain"
)

// adopt returns the sections that an analysis names, with the material that
// the planner's own plan found for them, or else what stands at their sources.
func (p *planner) adopt(a domain.Analysis, own []*section) []*section {
	sections := map[string]*section{}
	lessons := map[string]*lesson{}
	for _, s := range own {
		sections[s.title] = s
		for _, l := range s.lessons {
			lessons[l.title] = l
		}
	}
	var all []*section
	for _, planned := range a.Sections {
		s := &section{title: p.safeTitle(planned.Title)}
		if known := sections[planned.Title]; known != nil {
			s.intro, s.outcome = known.intro, known.outcome
		}
		for _, pl := range planned.Lessons {
			l := lessons[pl.Title]
			if l == nil {
				l = p.find(pl)
			}
			l.topics = safe(pl.KeyTopics, maxKeyTopics)
			s.lessons = append(s.lessons, l)
		}
		all = appendFilled(all, s)
	}
	if missing := domain.MinLessons - countLessons(all); missing > 0 {
		all = append(all, p.complete(missing, all)...)
	}
	return all
}

// find makes a lesson of what the documents say at its sources.
func (p *planner) find(planned domain.PlannedLesson) *lesson {
	l := &lesson{title: p.safeTitle(planned.Title)}
	p.each(func(u *unit) {
		for _, s := range planned.Sources {
			if u.words > 0 && s.Document == u.source.Document && (s.Heading == "" || s.Heading == u.source.Heading) {
				l.passages = append(l.passages, passage{title: u.title, source: u.source, text: u.text, words: u.words})
				return
			}
		}
	})
	return l
}

// safeTitle returns a title that a course may have.
func (p *planner) safeTitle(title string) string {
	if title = shorten(plain(clean(title)), maxTitleRunes); hasWord(title) {
		return title
	}
	return p.topic
}

// safe returns up to most texts that a course may have.
func safe(texts []string, most int) []string {
	var all []string
	for _, t := range texts {
		if t = shorten(plain(clean(t)), maxTitleRunes); hasWord(t) && len(all) < most {
			all = append(all, t)
		}
	}
	return all
}
