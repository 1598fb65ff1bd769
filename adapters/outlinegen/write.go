package outlinegen

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lectern/domain"
)

// writer writes one course from its plan.
type writer struct {
	*planner
	course   domain.Course
	analysis domain.Analysis
	style    styleTexts
	used     set // sentences of the documents that stand in the course
}

func newWriter(p *planner, c domain.Course, a domain.Analysis) *writer {
	a.Topics = safe(a.Topics, 2*maxTopics)
	return &writer{planner: p, course: c, analysis: a, style: p.locale.style(c.Style), used: set{}}
}

// structure writes the whole course.
func (w *writer) structure(plan []*section) domain.Structure {
	s := domain.Structure{
		Title: w.title(), Difficulty: w.level(),
		Language: w.course.Language, Style: w.course.Style,
		Sections: w.sections(plan),
	}
	minutes := 0
	for _, sec := range s.Sections {
		minutes += sec.DurationMinutes
	}
	s.DurationHours = math.Round(float64(minutes)/6) / 10
	v := w.facts(s)
	s.Description = w.description(v, plan)
	s.Overview = w.overview(v, plan)
	s.TargetAudience = w.readers(s.Difficulty)
	for _, t := range w.locale.Texts.Prerequisites[s.Difficulty] {
		s.Prerequisites = append(s.Prerequisites, fill(t, v))
	}
	s.LearningOutcomes = w.outcomes(plan)
	s.AssessmentStrategy = fill(w.style.Assessment, v)
	s.Tags = w.tags()
	return s
}

// facts are what templates about the whole course may name.
func (w *writer) facts(s domain.Structure) vars {
	v := vars{
		"course": w.courseName(), "topic": w.topic,
		"lessons": strconv.Itoa(s.LessonCount()), "sections": strconv.Itoa(len(s.Sections)),
		"hours": strconv.FormatFloat(s.DurationHours, 'f', -1, 64),
	}
	var names []string
	for _, d := range w.docs {
		name := cmp.Or(d.own(), plain(clean(d.intro.source.Document)))
		names = append(names, fill(w.locale.Texts.Named, vars{"name": shorten(name, maxTopicRunes)}))
	}
	const most = 6
	v["documents"] = strings.Join(names[:min(len(names), most)], ", ")
	v["topics"] = strings.Join(w.analysis.Topics[:min(len(w.analysis.Topics), 5)], ", ")
	return v
}

// title returns the course's title, lengthened if it is too short for one.
func (w *writer) title() string {
	const shortest = 10
	title := w.courseName()
	if utf8.RuneCountInString(title) < shortest {
		title = fill(w.locale.Texts.LongTitle, vars{"title": title})
	}
	return title
}

func (w *writer) courseName() string {
	return shorten(plain(clean(w.course.Title)), domain.MaxTitleRunes)
}

func (w *writer) level() domain.Difficulty {
	switch w.analysis.Difficulty {
	case domain.DifficultyBeginner, domain.DifficultyIntermediate, domain.DifficultyAdvanced:
		return w.analysis.Difficulty
	}
	return w.difficulty(w.course.Title)
}

func (w *writer) readers(d domain.Difficulty) string {
	const most = 1000
	if a := shorten(plain(clean(w.analysis.TargetAudience)), most); hasWord(a) {
		return a
	}
	return w.audience(w.course.Language, d)
}

func (w *writer) description(v vars, plan []*section) string {
	template := w.locale.Texts.FromTitle
	if len(w.docs) > 0 {
		template = w.locale.Texts.FromDocuments
	}
	parts := []string{fill(template, v)}
	if filled := w.filled(plan); filled != "" {
		parts = append(parts, filled)
	}
	return shorten(strings.TrimSpace(strings.Join(append(parts, fill(w.style.Description, v)), " ")), 3000)
}

// filled says how many lessons stand in the documents and how many practise
// what those teach; "" if there are none of one kind.
func (w *writer) filled(plan []*section) string {
	taught, made := 0, 0
	for _, s := range plan {
		for _, l := range s.lessons {
			if l.recipe == nil {
				taught++
			} else {
				made++
			}
		}
	}
	if taught == 0 || made == 0 {
		return ""
	}
	return fill(w.locale.Texts.Filled, vars{"taught": strconv.Itoa(taught), "made": strconv.Itoa(made)})
}

// overview says what the documents say as a whole and how the course goes.
func (w *writer) overview(v vars, plan []*section) string {
	const perDocument, most = 2, 8
	var parts []string
	told := 0
	for _, d := range w.docs {
		body := slices.Clone(d.intro.text)
		for _, u := range d.units {
			body = append(body, u.text...)
		}
		body = slices.DeleteFunc(body, func(s sentence) bool { return s.item })
		if texts := w.pick(body, min(perDocument, most-told), set{}); len(texts) > 0 {
			parts = append(parts, strings.Join(texts, " "))
			told += len(texts)
		}
	}
	names := make([]string, len(plan))
	for i, s := range plan {
		names[i] = strconv.Itoa(i+1) + ") " + s.title
	}
	v["plan"] = shorten(strings.Join(names, "; "), 3000)
	if len(parts) == 0 {
		parts = append(parts, fill(w.locale.Texts.Path, v))
	}
	parts = append(parts, fill(w.locale.Texts.Plan, v))
	return shorten(strings.Join(parts, "\n\n"), 10000)
}

// outcomes names what learners can do at the end, a section each.
func (w *writer) outcomes(plan []*section) []string {
	const fewest, most = 6, 10
	var about, ready []string
	for _, s := range plan {
		if s.outcome != "" {
			ready = append(ready, s.outcome)
			continue
		}
		about = append(about, s.title)
	}
	for _, s := range plan {
		for _, l := range s.lessons {
			if len(about)+len(ready) < fewest && !slices.Contains(about, l.title) {
				about = append(about, l.title)
			}
		}
	}
	step := max((len(about)+most-1)/most, 1)
	levels := []string{"understand", "apply", "analyze", "evaluate"}
	var all []string
	for i := 0; i < len(about); i += step {
		all = append(all, w.objective(levels[len(all)%len(levels)], len(all)/len(levels), about[i]))
	}
	all = append(all, ready...)
	for len(all) < 3 {
		all = append(all, w.objective(levels[len(all)], 0, w.topic))
	}
	return all
}

// tags returns the course's topics, and the usual ones to fill up with.
func (w *writer) tags() []string {
	const most, fewest = 12, 5
	var all []string
	offer := func(tag string, limit int) {
		const longest = 60
		tag = plain(clean(tag))
		same := func(t string) bool { return fold(t) == fold(tag) }
		if len(all) < limit && hasWord(tag) && utf8.RuneCountInString(tag) <= longest && !slices.ContainsFunc(all, same) {
			all = append(all, tag)
		}
	}
	offer(w.topic, most)
	for _, t := range w.analysis.Topics {
		offer(t, most)
	}
	for _, t := range w.locale.Texts.Tags {
		offer(t, max(fewest, min(len(all)+1, most-2)))
	}
	return all
}

// minutes returns how long a lesson on so many words takes in this style.
func (w *writer) minutes(words int) int {
	low, high := w.profile.Minutes[0], w.profile.Minutes[1]
	share := 0.5
	if words > 0 {
		share = min(float64(words)/float64(2*w.profile.LessonWords), 1)
	}
	step := 5
	if high <= 15 {
		step = 1
	}
	n := low + int(math.Round(share*float64(high-low)/float64(step)))*step
	return cmp.Or(n, 1)
}
