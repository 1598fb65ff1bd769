package outlinegen

import (
	"cmp"
	"math"
	"slices"

	"lectern/domain"
)

// The number of sections of a course with nothing but a title.
const (
	minTitleSections = 4
	maxTitleSections = 10
)

// planTitle plans a course from its title: the recipes every topic has, in
// their didactic order. There are as many lessons as wanted, up to all.
func (p *planner) planTitle() []*section {
	wanted := cmp.Or(p.wanted, p.profile.TitleLessons)
	const perSection, most = 3.0, 4 // lessons
	n := min(max(int(math.Round(float64(wanted)/perSection)), minTitleSections, (wanted+most-1)/most), maxTitleSections)
	recipes := slices.DeleteFunc(slices.Clone(p.locale.Recipes), func(r recipeSection) bool { return r.From > n })
	n = len(recipes)
	var sections []*section
	for i, r := range recipes {
		share := wanted*(i+1)/n - wanted*i/n
		sections = append(sections, p.prepared(r, min(share, len(r.Lessons))))
	}
	return sections
}

// prepared makes a section of a recipe's first lessons.
func (p *planner) prepared(r recipeSection, lessons int) *section {
	s := &section{title: p.aboutTopic(r.Title), outcome: fill(r.Outcome, vars{"topic": p.topic})}
	for i := range lessons {
		s.lessons = append(s.lessons, p.recipeLesson(&r.Lessons[i]))
	}
	return s
}

func (p *planner) recipeLesson(r *recipe) *lesson {
	return &lesson{title: p.aboutTopic(r.Title), recipe: r}
}

func (p *planner) aboutTopic(template string) string {
	return shorten(fill(template, vars{"topic": p.topic}), maxTitleRunes)
}

// complete returns sections of lessons that apply and sum up what the
// documents say, for a course that would have too few lessons.
func (p *planner) complete(missing int) []*section {
	var applying []*recipe
	for _, s := range p.locale.Recipes {
		for i := range s.Lessons {
			if s.Lessons[i].Applying {
				applying = append(applying, &s.Lessons[i])
			}
		}
	}
	var lessons []*lesson
	for _, r := range applying[max(0, len(applying)-missing):] {
		lessons = append(lessons, p.recipeLesson(r))
	}
	whole := &section{title: p.aboutTopic(p.locale.Texts.Applying), lessons: lessons}
	return p.parted(whole)
}

// enoughRecipes reports whether recipes can carry a course on their own.
func enoughRecipes(sections []recipeSection) bool {
	all, applying := 0, 0
	for _, s := range sections {
		for _, r := range s.Lessons {
			if len(r.Topics) == 0 {
				return false
			}
			all++
			if r.Applying {
				applying++
			}
		}
	}
	return len(sections) >= minTitleSections && all >= domain.MinLessons && applying >= domain.MinLessons
}
