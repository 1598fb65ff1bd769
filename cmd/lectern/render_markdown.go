package main

import (
	"fmt"
	"strings"

	"lectern/domain"
)

// markdown gathers a document.
type markdown struct {
	strings.Builder
	labels labels
}

// renderMarkdown writes the whole course.
func renderMarkdown(s *domain.Structure) []byte {
	m := &markdown{labels: labelsFor(s.Language)}
	l := m.labels
	m.line("# %s\n", inline(s.Title))
	m.paragraphs(s.Description)
	m.line("- **%s:** %s", l.audience, inline(s.TargetAudience))
	m.line("- **%s:** %s, %.1f %s", l.level, l.levels[s.Difficulty], s.DurationHours, l.hours)
	m.line("- **%s:** %s\n", l.tags, inline(strings.Join(s.Tags, ", ")))
	m.line("## %s\n", l.overview)
	m.paragraphs(s.Overview)
	m.list("## "+l.outcomes, s.LearningOutcomes)
	m.list("## "+l.prerequisites, s.Prerequisites)
	m.line("## %s\n", l.assessment)
	m.paragraphs(s.AssessmentStrategy)
	for _, section := range s.Sections {
		m.section(section)
	}
	return []byte(strings.TrimRight(m.String(), "\n") + "\n")
}

func (m *markdown) section(s domain.Section) {
	m.line("## %s\n", numbered(m.labels.section, s.Number, s.Title))
	m.paragraphs(s.Description)
	m.list("**"+m.labels.objectives+"**", s.LearningObjectives)
	for _, lesson := range s.Lessons {
		m.lesson(lesson)
	}
}

func (m *markdown) lesson(l domain.Lesson) {
	m.line("### %s (%d %s)\n", numbered(m.labels.lesson, l.Number, l.Title), l.DurationMinutes, m.labels.minutes)
	m.list("**"+m.labels.objectives+"**", l.Objectives)
	m.line("**%s:** %s\n", m.labels.topics, inline(strings.Join(l.KeyTopics, ", ")))
	m.paragraphs(l.Content)
	exercises := make([]string, len(l.Exercises))
	for i, e := range l.Exercises {
		exercises[i] = e.Title + " — " + e.Description
	}
	m.list("**"+m.labels.exercises+"**", exercises)
	sources := make([]string, len(l.Sources))
	for i, s := range l.Sources {
		sources[i] = m.labels.source(s)
	}
	m.list("**"+m.labels.sources+"**", sources)
}

// numbered puts a word and a number before a title that has none of its own:
// some styles number their sections and lessons as chapters, quests or steps.
func numbered(word string, n int, title string) string {
	if _, rest, _ := strings.Cut(title, " "); strings.HasPrefix(rest, fmt.Sprintf("%d. ", n)) {
		return inline(title)
	}
	return fmt.Sprintf("%s %d. %s", word, n, inline(title))
}

func (m *markdown) line(format string, args ...any) {
	_, _ = fmt.Fprintf(m, format+"\n", args...) // a builder takes everything
}

// paragraphs keeps the text's own.
func (m *markdown) paragraphs(text string) {
	for paragraph := range strings.SplitSeq(text, "\n") {
		if paragraph = inline(paragraph); paragraph != "" {
			m.line("%s\n", paragraph)
		}
	}
}

// list writes nothing for no items.
func (m *markdown) list(heading string, items []string) {
	if len(items) == 0 {
		return
	}
	m.line("%s\n", heading)
	for _, item := range items {
		m.line("- %s", inline(item))
	}
	m.line("")
}

// inline makes text mean itself: on one line, its marks escaped.
func inline(text string) string {
	text = strings.Join(strings.Fields(plain(text)), " ")
	text = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`, "]", `\]`).Replace(text)
	if strings.IndexAny(text, "#+->=|~") == 0 {
		text = `\` + text
	}
	return text
}
