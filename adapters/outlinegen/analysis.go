package outlinegen

import (
	"slices"
	"strings"

	"lectern/domain"
)

// The number of topics of a course and of a lesson.
const (
	maxTopics    = 15
	lessonTopics = 5
	maxKeyTopics = 10 // what an analysis from elsewhere may name for a lesson
)

// analysis turns a plan into the domain's.
func (p *planner) analysis(c domain.Course, sections []*section) domain.Analysis {
	a := domain.Analysis{TotalLessons: countLessons(sections), Difficulty: p.difficulty(c.Title)}
	a.TargetAudience = p.audience(c.Language, a.Difficulty)
	if len(p.docs) > 0 {
		a.Topics = p.phrases.top(maxTopics)
	}
	if len(a.Topics) == 0 {
		a.Topics = p.titleTopics(sections)
	}
	for _, s := range sections {
		planned := domain.PlannedSection{Title: s.title}
		for _, l := range s.lessons {
			planned.Lessons = append(planned.Lessons, domain.PlannedLesson{
				Title: l.title, KeyTopics: p.keyTopics(l), Sources: l.sources(),
			})
		}
		a.Sections = append(a.Sections, planned)
	}
	return a
}

// titleTopics returns what a course on the topic deals with at any rate.
func (p *planner) titleTopics(sections []*section) []string {
	topics := []string{p.topic}
	for _, s := range sections {
		for _, l := range s.lessons {
			if l.recipe != nil && len(topics) < maxTopics && !slices.Contains(topics, l.recipe.Topics[0]) {
				topics = append(topics, l.recipe.Topics[0])
			}
		}
	}
	return topics
}

// keyTopics returns what a lesson deals with: the headings it spans besides
// its own, then its key phrases.
func (p *planner) keyTopics(l *lesson) []string {
	topics := p.headingTopics(l)
	topics = append(topics, p.phraseTopics(l, topics)...)
	if l.recipe != nil {
		topics = append(topics, l.recipe.Topics...)
		for _, of := range l.reviews {
			topics = append(topics, of.title)
		}
	}
	if len(topics) == 0 {
		topics = []string{l.title}
	}
	return topics
}

// headingTopics returns the headings of a lesson's passages that its title
// does not name.
func (p *planner) headingTopics(l *lesson) []string {
	var topics []string
	for _, q := range l.passages {
		heading := p.vocabulary.calm(q.title)
		if heading != "" && len(topics) < lessonTopics-1 && !strings.Contains(fold(l.title), fold(heading)) && !slices.Contains(topics, heading) {
			topics = append(topics, heading)
		}
	}
	return topics
}

// phraseTopics returns the key phrases of a lesson that say more than its
// title and the topics it has, and few single words.
func (p *planner) phraseTopics(l *lesson, have []string) []string {
	const most = 2 // single words, which tell little
	title := p.vocabulary.stems(l.title)
	var seen [][]string
	for _, t := range have {
		seen = append(seen, p.vocabulary.stems(t))
	}
	var topics []string
	singles := 0
	for _, phrase := range p.phrases.of(l.text(), 2*lessonTopics) {
		stems := p.vocabulary.stems(phrase)
		single := !strings.Contains(phrase, " ")
		known := slices.ContainsFunc(seen, func(s []string) bool { return subset(stems, s) }) ||
			// A term of several words within a longer title is worth naming.
			subset(stems, title) && (single || len(stems) == len(title))
		if known || single && singles == most || len(have)+len(topics) >= lessonTopics {
			continue
		}
		if single {
			singles++
		}
		topics = append(topics, phrase)
		seen = append(seen, stems)
	}
	return topics
}

func subset(part, whole []string) bool {
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(whole, s) })
}

// sources returns the places a lesson rests on, each once.
func (l *lesson) sources() []domain.Source {
	const most = 12
	var all []domain.Source
	for _, of := range append([]*lesson{l}, l.reviews...) {
		for _, q := range of.passages {
			if !slices.Contains(all, q.source) && len(all) < most {
				all = append(all, q.source)
			}
		}
	}
	return all
}

// difficulty judges by what the title promises, then by how the documents
// are written.
func (p *planner) difficulty(title string) domain.Difficulty {
	for w := range strings.FieldsSeq(fold(title)) {
		w = strings.Trim(w, ".,:;!?()«»\"")
		switch {
		case p.vocabulary.lexicon.beginner[w]:
			return domain.DifficultyBeginner
		case p.vocabulary.lexicon.advanced[w]:
			return domain.DifficultyAdvanced
		}
	}
	if len(p.docs) == 0 {
		return domain.DifficultyBeginner
	}
	const longSentence, shortSentence = 22, 9 // words
	total, n := 0, 0
	for _, s := range p.body() {
		if s.quotable {
			total += s.length
			n++
		}
	}
	switch {
	case total > n*longSentence:
		return domain.DifficultyAdvanced
	case total < n*shortSentence:
		return domain.DifficultyBeginner
	}
	return domain.DifficultyIntermediate
}

// audience returns the sentence in which a document of the course's language
// names its readers, or the wording for the difficulty.
func (p *planner) audience(language string, d domain.Difficulty) string {
	for _, doc := range p.docs {
		opening := doc.intro.text
		if len(doc.units) > 0 {
			opening = append(slices.Clip(opening), doc.units[0].text...)
		}
		for _, s := range opening[:min(len(opening), 8)] {
			if s.quotable && hasCyrillic(s.text) == (language == "ru") && p.namesReaders(s.text) {
				return s.text
			}
		}
	}
	return fill(p.locale.Texts.Audience[d], vars{"topic": p.topic})
}

func (p *planner) namesReaders(text string) bool {
	return slices.ContainsFunc(p.vocabulary.lexicon.audience, func(cue string) bool {
		return strings.Contains(fold(text), cue)
	})
}
