package outlinegen

import (
	"slices"
	"strings"
)

// sectionObjectives returns what a section leads to.
func (w *writer) sectionObjectives(s *section, n int) []string {
	const most = 3
	if s.outcome != "" {
		return []string{s.outcome}
	}
	levels := []string{"understand", "apply", "evaluate"}
	var all []string
	for i := range min(most, len(s.lessons)) {
		l := s.lessons[i*len(s.lessons)/min(most, len(s.lessons))]
		all = append(all, w.objective(levels[i], n, l.title))
	}
	return all
}

// objective words an aim of a level of Bloom's taxonomy. Headings that are
// clauses ("How to ...") or name an action ("Finding ...") become parts of its
// sentence where the language's wording has a place for them.
func (w *writer) objective(level string, n int, about string) string {
	forms := w.locale.Texts.Bloom
	inside := w.vocabulary.sentenceCase(about)
	first := fold(firstWord(about))
	switch cyrillic := hasCyrillic(about); {
	case cyrillic != hasCyrillic(w.locale.Texts.And) || strings.ContainsAny(about, ".:?!;"):
	case w.vocabulary.lexicon.clauses[first] && strings.Contains(about, " "):
		forms = w.locale.Texts.BloomClause
	case !cyrillic && strings.HasSuffix(first, "ing") && len(first) > 5 && strings.Contains(about, " ") && !w.vocabulary.lexicon.nominal[first]:
		forms = w.locale.Texts.BloomAction
	}
	if len(forms[level]) == 0 {
		forms = w.locale.Texts.Bloom
	}
	return choose(forms[level], n, vars{"it": about, "doing": inside})
}

// lessonObjectives returns an aim for each of the style's levels: for the
// lesson, the headings it spans, or the lessons it works with.
func (w *writer) lessonObjectives(l *lesson, topics []string, n int) []string {
	if l.recipe != nil && len(l.reviews) == 0 && len(w.locale.Texts.BloomRecipe) > 0 {
		return w.recipeObjectives(l.recipe.Topics)
	}
	subjects := []string{l.title}
	if len(l.reviews) > 0 {
		subjects = nil
	}
	for _, t := range topics {
		if slices.ContainsFunc(l.passages, func(q passage) bool { return w.vocabulary.calm(q.title) == t }) {
			subjects = append(subjects, t)
		}
	}
	for _, of := range l.reviews {
		subjects = append(subjects, of.title)
	}
	var all []string
	for i, level := range w.profile.Objectives {
		if text := w.objective(level, n+i, subjects[i%len(subjects)]); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// recipeObjectives shares a recipe's topics out among the aims of its lesson.
func (w *writer) recipeObjectives(topics []string) []string {
	levels := w.profile.Objectives
	var all []string
	for i, level := range levels {
		from, to := i*len(topics)/len(levels), (i+1)*len(topics)/len(levels)
		if about := strings.Join(topics[from:to], ", "); about != "" {
			all = append(all, choose(w.locale.Texts.BloomRecipe[level], i, vars{"topic": w.topic, "it": about}))
		}
	}
	return all
}
