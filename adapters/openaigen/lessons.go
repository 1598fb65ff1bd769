package openaigen

import (
	"context"
	"fmt"
	"slices"

	"lectern/domain"
)

// maxExcerpt bounds what a lesson is made of, in characters.
const maxExcerpt = 8000

// lessonsMaterial is what a batch of lessons is made of.
type lessonsMaterial struct {
	Title    string           `json:"title"`
	Audience string           `json:"target_audience"`
	Level    string           `json:"difficulty_level"`
	Plan     []outline        `json:"plan"`
	Section  string           `json:"section"` // that the lessons stand in
	Lessons  []lessonMaterial `json:"lessons"` // to be written
}

type lessonMaterial struct {
	Number    int       `json:"lesson_number"`
	Title     string    `json:"lesson_title"`
	KeyTopics []string  `json:"key_topics,omitempty"`
	Excerpts  []excerpt `json:"excerpts,omitempty"`
}

// lessonsAnswer is the batch as the model wrote it.
type lessonsAnswer struct {
	Lessons []lessonAnswer `json:"lessons"`
}

type lessonAnswer struct {
	Number          int               `json:"lesson_number"`
	Objectives      []string          `json:"lesson_objectives"`
	KeyTopics       []string          `json:"key_topics"`
	Content         string            `json:"content_summary"`
	DurationMinutes int               `json:"estimated_duration_minutes"`
	Exercises       []domain.Exercise `json:"practical_exercises"`
}

func (w *writer) lessons(ctx context.Context, b batch) ([]domain.Lesson, error) {
	language, v := w.prompts.courseView(w.course, w.docs)
	t, err := w.prompts.task(taskLessons, language, v, w.lessonsMaterial(b))
	if err != nil {
		return nil, err
	}
	answer, err := ask(ctx, w.session, t, func(a lessonsAnswer) []string { return w.checkLessons(b, a) })
	if err != nil {
		return nil, err
	}
	return w.taught(b, answer), nil
}

func (w *writer) lessonsMaterial(b batch) lessonsMaterial {
	section := w.analysis.Sections[b.section]
	m := lessonsMaterial{
		Title: w.course.Title, Audience: w.analysis.TargetAudience, Level: string(w.analysis.Difficulty),
		Plan: outlineOf(w.analysis), Section: section.Title,
	}
	for i, l := range section.Lessons[b.begin : b.begin+b.length] {
		m.Lessons = append(m.Lessons, lessonMaterial{
			Number: b.first + i + 1, Title: l.Title, KeyTopics: l.KeyTopics,
			Excerpts: excerpts(w.docs, l.Sources, min(w.opts.MaxMaterial/b.length, maxExcerpt)),
		})
	}
	return m
}

// checkLessons looks at each lesson by itself, in an otherwise sound course.
func (w *writer) checkLessons(b batch, a lessonsAnswer) []string {
	if len(a.Lessons) != b.length {
		return []string{fmt.Sprintf("lessons: must be the %d of the material, in their order; are %d", b.length, len(a.Lessons))}
	}
	var all []string
	for i, l := range w.taught(b, a) {
		if l.Number != a.Lessons[i].Number {
			all = append(all, fmt.Sprintf("lessons[%d].lesson_number: must be %d, as in the material; is %d", i, l.Number, a.Lessons[i].Number))
		}
		s := w.sound
		s.Sections = slices.Clone(s.Sections)
		s.Sections[b.section].Lessons = slices.Clone(s.Sections[b.section].Lessons)
		s.Sections[b.section].Lessons[b.begin+i] = l
		if err := s.Validate(); err != nil {
			all = append(all, fmt.Sprintf("lesson %d: %v", l.Number, err))
		}
	}
	return all
}

// taught puts an answer into the plan's lessons.
func (w *writer) taught(b batch, a lessonsAnswer) []domain.Lesson {
	lessons := slices.Clone(w.sound.Sections[b.section].Lessons[b.begin : b.begin+b.length])
	for i := range lessons {
		l, from := &lessons[i], a.Lessons[i]
		l.Objectives, l.KeyTopics, l.Content = from.Objectives, from.KeyTopics, from.Content
		l.DurationMinutes, l.Exercises = from.DurationMinutes, from.Exercises
	}
	return lessons
}
