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

// sections writes every section and numbers the lessons through.
func (w *writer) sections(plan []*section) []domain.Section {
	all := make([]domain.Section, 0, len(plan))
	n := 0
	for i, s := range plan {
		sec := domain.Section{
			Number: i + 1, Title: w.framed(w.style.Section, s.title, i+1),
			LearningObjectives: w.sectionObjectives(s, i),
			Description:        w.about(s, i),
		}
		for j, l := range s.lessons {
			n++
			written := w.lesson(l, lessonPlace{number: n, section: s, index: j})
			sec.DurationMinutes += written.DurationMinutes
			sec.Lessons = append(sec.Lessons, written)
		}
		all = append(all, sec)
	}
	return all
}

// framed puts a title into its style's frame.
func (w *writer) framed(frame, title string, n int) string {
	return fill(frame, vars{"title": title, "n": strconv.Itoa(n)})
}

// about describes a section: in the document's words, then in the style's.
func (w *writer) about(s *section, i int) string {
	const rich = 5 // sentences, of which the first lesson needs some
	quoted := 2
	if len(s.intro) < rich {
		quoted = 1
	}
	parts := w.pick(s.intro, quoted, w.used)
	first, last := s.lessons[0], s.lessons[len(s.lessons)-1]
	v := vars{
		"title": s.title, "topic": w.topic, "n": strconv.Itoa(i + 1),
		"count": strconv.Itoa(len(s.lessons)),
	}
	if first.title != s.title {
		v["first"] = first.title
	}
	if last != first {
		v["last"] = last.title
	}
	parts = append(parts, choose(w.style.About, i, v))
	return shorten(strings.Join(parts, " "), 3000)
}

// lessonPlace says where in the course a lesson stands.
type lessonPlace struct {
	number  int // from 1 through the course
	section *section
	index   int // in its section
}

// lesson writes one lesson.
func (w *writer) lesson(l *lesson, at lessonPlace) domain.Lesson {
	topics := l.topics
	if len(topics) == 0 {
		topics = safe(w.keyTopics(l), maxKeyTopics)
	}
	v := w.lessonVars(l, topics, at)
	body := w.body(l, v, at.number)
	if q := w.quote(l); q != "" {
		v["quote"] = q
	}
	return domain.Lesson{
		Number: at.number, Title: w.framed(w.style.Lesson, l.title, at.number),
		Objectives: w.lessonObjectives(l, topics, at.number), KeyTopics: topics,
		Content:         w.content(l, body, v, at.number),
		DurationMinutes: w.minutes(l.words()),
		Exercises:       w.exercises(v, at.number),
		Sources:         l.sources(),
	}
}

// lessonVars are what templates about a lesson may name. phrase and phrase2
// are key topics that come from the documents, terms its key topics in a row,
// prev and next its neighbours in the section.
func (w *writer) lessonVars(l *lesson, topics []string, at lessonPlace) vars {
	v := vars{
		"title": l.title, "topic": w.topic, "section": at.section.title, "course": w.topic,
		"n": strconv.Itoa(at.number),
	}
	names, taken := reviewNames(), 0
	for _, of := range l.reviews {
		v[names[taken]] = of.title
		taken++
	}
	for _, t := range topics {
		// A single word is too little to set a task for.
		if taken < len(names) && t != l.title && l.recipe == nil && strings.Contains(t, " ") {
			v[names[taken]] = t
			taken++
		}
	}
	telling := slices.DeleteFunc(slices.Clone(topics), func(t string) bool { return l.recipe == nil && !strings.Contains(t, " ") })
	if len(telling) > 1 {
		v["terms"] = strings.Join(telling[:min(len(telling), 3)], "; ")
	}
	if at.index > 0 {
		v["prev"] = at.section.lessons[at.index-1].title
	}
	if at.index+1 < len(at.section.lessons) {
		v["next"] = at.section.lessons[at.index+1].title
	}
	if len(l.passages) > 0 {
		v["document"] = l.passages[0].source.Document
	}
	return v
}

// content frames a lesson's body in the style's words.
func (w *writer) content(l *lesson, body string, v vars, n int) string {
	opening := choose(w.style.Opening, n-1, v)
	if len(l.reviews) > 0 {
		opening = "" // those speak of new material
	}
	var parts []string
	for _, p := range []string{opening, body, choose(w.style.Closing, n-1, v)} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return shorten(strings.Join(parts, "\n\n"), 10000)
}

// body returns what teaches in a lesson: its recipe, the best sentences of
// its passages, or, where there is none, a way to work the topic out.
func (w *writer) body(l *lesson, v vars, n int) string {
	var parts []string
	if l.recipe != nil {
		parts = append(parts, fill(l.recipe.Text, v))
		if grounding := w.grounding(l, n); grounding != "" {
			parts = append(parts, grounding)
		}
	}
	told := w.quoted(l, w.used)
	if len(told) == 0 {
		told = w.quoted(l, set{}) // its section's description has taken all
	}
	parts = append(parts, told...)
	if len(parts) == 0 {
		parts = append(parts, choose(w.locale.Texts.Fallback, n, v))
	}
	return strings.Join(parts, "\n\n")
}

// quoted returns a paragraph for each of a lesson's passages that has one.
func (w *writer) quoted(l *lesson, used set) []string {
	var parts []string
	for i, limit := range w.shares(l.passages) {
		const more = 2 // sentences, where each one leans on others
		texts := w.pick(l.passages[i].text, limit, used)
		if len(texts) == 0 && limit > 0 {
			texts = w.pick(l.passages[i].text, limit+more, used)
		}
		if len(texts) > 0 {
			parts = append(parts, w.runIn(l.passages[i].title, l.title)+strings.Join(texts, " "))
		}
	}
	return parts
}

// runIn returns a passage's heading as it opens its paragraph, unless it is
// the lesson's own.
func (w *writer) runIn(heading, lesson string) string {
	heading = w.vocabulary.calm(heading)
	switch {
	case heading == "" || strings.HasPrefix(lesson, heading):
		return ""
	case strings.ContainsAny(heading[len(heading)-1:], ".!?"):
		return heading + " "
	}
	return heading + ". "
}

// grounding ties a recipe's lesson to those whose material it works with.
func (w *writer) grounding(l *lesson, n int) string {
	v := vars{"topic": w.topic}
	for i, of := range l.reviews {
		v[reviewNames()[i]] = of.title
	}
	if len(l.reviews) == 0 {
		return ""
	}
	return choose(w.locale.Texts.Grounding, n, v)
}

// reviewNames are what templates call a lesson's phrases, or the lessons that
// it works with.
func reviewNames() [reviewed]string { return [...]string{"phrase", "phrase2", "phrase3"} }

// shares divides the sentences that a lesson may take among its passages: by
// their size, the largest first where there are more passages than sentences.
func (w *writer) shares(list []passage) []int {
	total := 0
	order := make([]int, len(list))
	for i, p := range list {
		total += p.words
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(list[b].words, list[a].words) })
	// Two more for each passage after the first: one sentence makes no paragraph.
	sentences := min(w.profile.Sentences+2*max(len(list)-1, 0), 2*w.profile.Sentences)
	left := sentences
	all := make([]int, len(list))
	for _, i := range order {
		n := int(math.Round(float64(sentences) * float64(list[i].words) / float64(max(total, 1))))
		all[i] = min(max(n, 1), left)
		left -= all[i]
	}
	return all
}

// quote returns a sentence of a lesson's sources fit to be put in quotation
// marks, rather one that its text does not have; "" if there is none.
func (w *writer) quote(l *lesson) string {
	const longest, alone = 170, 8 // what is quoted alone must not speak of "it" in its first words
	fit := slices.DeleteFunc(l.text(), func(s sentence) bool {
		return s.leans || s.item || w.vocabulary.lexicon.refers(s.text, alone) || utf8.RuneCountInString(s.text) > longest || strings.ContainsAny(s.text, "«»“”\"():")
	})
	for i := range fit {
		fit[i].opens = true
	}
	texts := w.pick(fit, 1, w.used)
	if len(texts) == 0 {
		texts = w.pick(fit, 1, set{}) // one that the text has, then
	}
	if len(texts) == 0 {
		return ""
	}
	return strings.TrimRight(texts[0], ".")
}

// exercises takes the style's kinds in turn.
func (w *writer) exercises(v vars, n int) []domain.Exercise {
	kinds := w.profile.Exercises
	var all []domain.Exercise
	for i := range w.profile.PerLesson {
		at := (n-1)*w.profile.PerLesson + i
		kind := kinds[at%len(kinds)]
		wordings := w.locale.Exercises[kind]
		if len(wordings) == 0 {
			wordings = w.locale.Exercises["default"]
		}
		all = append(all, exercise(kind, wordings, at/len(kinds), v))
	}
	return all
}

func exercise(kind string, wordings []exerciseTexts, n int, v vars) domain.Exercise {
	for i := range wordings {
		t := wordings[(n+i)%len(wordings)]
		title, named := try(t.Title, v)
		task, told := try(t.Task, v)
		if named && told {
			return domain.Exercise{Type: kind, Title: title, Description: task}
		}
	}
	last := wordings[len(wordings)-1]
	return domain.Exercise{Type: kind, Title: fill(last.Title, v), Description: fill(last.Task, v)}
}
