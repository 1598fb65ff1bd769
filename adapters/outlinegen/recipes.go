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
// documents say, for a course that would have too few lessons. It takes the
// sections with most to apply first. Each lesson works with three of those that
// taught, in turn.
func (p *planner) complete(missing int, taught []*section) []*section {
	var lessons []*lesson
	sections, titles := set{}, set{}
	for _, s := range taught {
		sections[fold(s.title)] = true
		for _, l := range s.lessons {
			titles[fold(l.title)] = true
			lessons = append(lessons, l)
		}
	}
	order := make([]int, len(p.locale.Recipes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(len(p.locale.Recipes[b].applying()), len(p.locale.Recipes[a].applying()))
	})
	chosen := make([]*section, len(order))
	for _, i := range order {
		r := p.locale.Recipes[i]
		r.Lessons = r.applying()
		n := min(missing, len(r.Lessons))
		if missing-n == 1 && n > 2 {
			n-- // no section of one lesson
		}
		if n > 0 {
			chosen[i] = p.prepared(r, n)
			missing -= n
		}
	}
	chosen = slices.DeleteFunc(chosen, func(s *section) bool { return s == nil })
	next := 0
	for _, s := range chosen {
		s.title = unique(s.title, sections)
		for _, l := range s.lessons {
			l.title = unique(l.title, titles)
			for range min(reviewed, len(lessons)) {
				l.reviews = append(l.reviews, lessons[next%len(lessons)])
				next++
			}
		}
	}
	return chosen
}

// reviewed is how many lessons a lesson of practice works with.
const reviewed = 3

func (r recipeSection) applying() []recipe {
	return slices.DeleteFunc(slices.Clone(r.Lessons), func(l recipe) bool { return !l.Applying })
}

// enoughRecipes reports whether recipes can carry a course on their own.
func enoughRecipes(sections []recipeSection) bool {
	all, applying := 0, 0
	for _, s := range sections {
		all += len(s.Lessons)
		applying += len(s.applying())
		if slices.ContainsFunc(s.Lessons, func(r recipe) bool { return len(r.Topics) == 0 }) {
			return false
		}
	}
	return len(sections) >= minTitleSections && all >= domain.MinLessons && applying >= domain.MinLessons
}
