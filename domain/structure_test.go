package domain_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/domain"
)

func structure() domain.Structure {
	s := domain.Structure{
		Title: "Selling courses", Description: strings.Repeat("d", 20), Overview: strings.Repeat("o", 30),
		TargetAudience: "Advisers", DurationHours: 8, Difficulty: domain.DifficultyBeginner,
		LearningOutcomes: []string{"a", "b", "c"}, AssessmentStrategy: "A project",
		Tags: []string{"a", "b", "c", "d", "e"}, Language: "en", Style: domain.StylePractical,
		Sections: []domain.Section{{Number: 1, Title: "One", Description: "d", LearningObjectives: []string{"x"}, DurationMinutes: 60}},
	}
	for i := range domain.MinLessons {
		s.Sections[0].Lessons = append(s.Sections[0].Lessons, domain.Lesson{
			Number: i + 1, Title: fmt.Sprintf("Lesson %d", i+1), Objectives: []string{"x"}, KeyTopics: []string{"t"}, Content: "c",
			DurationMinutes: 6, Exercises: []domain.Exercise{{Type: "task", Title: "t", Description: "d"}},
		})
	}
	return s
}

func TestStructureNamesTheRuleThatIsBroken(t *testing.T) {
	t.Parallel()
	require.NoError(t, structure().Validate())
	tests := map[string]func(*domain.Structure){
		"course_title":                        func(s *domain.Structure) { s.Title = "Go" },
		"course_description":                  func(s *domain.Structure) { s.Description = strings.Repeat("d", 3001) },
		"course_overview":                     func(s *domain.Structure) { s.Overview = "short" },
		"target_audience":                     func(s *domain.Structure) { s.TargetAudience = " " },
		"assessment_strategy":                 func(s *domain.Structure) { s.AssessmentStrategy = "" },
		"prerequisites":                       func(s *domain.Structure) { s.Prerequisites = make([]string, 11) },
		"learning_outcomes":                   func(s *domain.Structure) { s.LearningOutcomes = s.LearningOutcomes[:2] },
		"course_tags":                         func(s *domain.Structure) { s.Tags = s.Tags[:4] },
		"course_tags[1]":                      func(s *domain.Structure) { s.Tags = []string{"a", "", "c", "d", "e"} },
		"difficulty_level":                    func(s *domain.Structure) { s.Difficulty = "insane" },
		"estimated_duration_hours":            func(s *domain.Structure) { s.DurationHours = 0 },
		"sections":                            func(s *domain.Structure) { s.Sections[0].Lessons = s.Sections[0].Lessons[:9] },
		"sections[0].learning_objectives":     func(s *domain.Structure) { s.Sections[0].LearningObjectives = make([]string, 6) },
		"sections[0].lessons[3].lesson_title": func(s *domain.Structure) { s.Sections[0].Lessons[3].Title = "[insert title]" },
		"sections[0].lessons[3].key_topics":   func(s *domain.Structure) { s.Sections[0].Lessons[3].KeyTopics = nil },
		"sections[0].lessons[3].content_summary": func(s *domain.Structure) {
			s.Sections[0].Lessons[3].Content = "Lorem ipsum dolor"
		},
		"course_tags[0]":                                    func(s *domain.Structure) { s.Tags[0] = "a\x00b" },
		"language":                                          func(s *domain.Structure) { s.Language = "EN" },
		"style":                                             func(s *domain.Structure) { s.Style = "" },
		"sections[0].section_number":                        func(s *domain.Structure) { s.Sections[0].Number = 0 },
		"sections[0].estimated_duration_minutes":            func(s *domain.Structure) { s.Sections[0].DurationMinutes = 0 },
		"sections[1].section_number":                        func(s *domain.Structure) { s.Sections = append(s.Sections, s.Sections[0]) },
		"sections[1].lessons":                               func(s *domain.Structure) { s.Sections = append(s.Sections, second()) },
		"sections[1].lessons[0].lesson_number":              func(s *domain.Structure) { s.Sections = append(s.Sections, second(s.Sections[0].Lessons[0])) },
		"sections[0].lessons[3].lesson_number":              func(s *domain.Structure) { s.Sections[0].Lessons[3].Number = 5 },
		"sections[0].lessons[3].estimated_duration_minutes": func(s *domain.Structure) { s.Sections[0].Lessons[3].DurationMinutes = -1 },
		"sections[0].lessons[3].practical_exercises[0].exercise_type":  func(s *domain.Structure) { s.Sections[0].Lessons[3].Exercises[0].Type = "" },
		"sections[0].lessons[3].practical_exercises[0].exercise_title": func(s *domain.Structure) { s.Sections[0].Lessons[3].Exercises[0].Title = " " },
		"sections[0].lessons[3].sources[0].document":                   func(s *domain.Structure) { s.Sections[0].Lessons[3].Sources = []domain.Source{{Page: 1}} },
		"sections[0].lessons[3].sources[0].heading": func(s *domain.Structure) {
			s.Sections[0].Lessons[3].Sources = []domain.Source{{Document: "a.md", Heading: "\x00"}}
		},
		"sections[0].lessons[3].sources[0].page": func(s *domain.Structure) {
			s.Sections[0].Lessons[3].Sources = []domain.Source{{Document: "a.md", Page: -1}}
		},
		"sections[0].lessons[3].practical_exercises": func(s *domain.Structure) { s.Sections[0].Lessons[3].Exercises = nil },
	}
	for field, breakIt := range tests {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			s := structure()
			breakIt(&s)
			require.ErrorIs(t, s.Validate(), &domain.Error{Reason: domain.ReasonInvalidField, Field: field})
		})
	}
}

// second is a section that follows the test's first.
func second(lessons ...domain.Lesson) domain.Section {
	return domain.Section{
		Number: 2, Title: "Two", Description: "d", LearningObjectives: []string{"x"}, DurationMinutes: 60, Lessons: lessons,
	}
}

func TestDurationIsANumberOfHours(t *testing.T) {
	t.Parallel()
	for _, hours := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), 10001} {
		s := structure()
		s.DurationHours = hours
		_, err := domain.NewStructure(s)
		require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "estimated_duration_hours"}, "%v", hours)
	}
}

func TestTextAboutToDoListsIsNoPlaceholder(t *testing.T) {
	t.Parallel()
	require.False(t, domain.HasPlaceholder("Build a todo app with {{templates}}"))
	for _, text := range []string{"TODO: write this", "a TBD b", "LOREM Ipsum", "x lorem ipsum", "the item. Lorem ipsum", "[insert a name]", "see [Placeholder 1]"} {
		require.True(t, domain.HasPlaceholder(text), text)
	}
	for _, text := range []string{"", " ", "m i", "item is", "lorem  ipsum", "[1]", "TBDs", "xTODO", "todo: shop"} {
		require.False(t, domain.HasPlaceholder(text), text)
	}
}
