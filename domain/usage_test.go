package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/domain"
)

func TestUsageIsReadBackFromTheMetadataThatItAddsTo(t *testing.T) {
	t.Parallel()
	u := domain.Usage{
		Model: "m", Calls: 1, FailedCalls: 2, Repairs: 3, PromptTokens: 4, CompletionTokens: 5, EstimatedCalls: 6, Cost: 0.25,
	}
	text, err := json.Marshal(u.Metadata())
	require.NoError(t, err)
	require.Equal(t, u, domain.UsageOf(text))
	require.Equal(t, int64(9), u.Tokens())
}

func TestNoUsageIsNone(t *testing.T) {
	t.Parallel()
	require.Nil(t, domain.Usage{}.Metadata())
	for _, text := range []string{``, `{}`, `null`, `{"usage": 7}`, `{"usage": {"calls": "many"}}`, `[`} {
		require.Zero(t, domain.UsageOf(json.RawMessage(text)), text)
	}
}

func TestAPlanThatNoCourseCanBeWrittenFromIsRefused(t *testing.T) {
	t.Parallel()
	plan := func(change func(*domain.Analysis)) domain.Analysis {
		a := domain.Analysis{
			Topics: []string{"bees"}, TargetAudience: "beginners", Difficulty: domain.DifficultyBeginner, TotalLessons: 10,
			Sections: []domain.PlannedSection{{Title: "Hives"}},
		}
		for range 10 {
			a.Sections[0].Lessons = append(a.Sections[0].Lessons, domain.PlannedLesson{
				Title: "The queen", KeyTopics: []string{"eggs"}, Sources: []domain.Source{{Document: "bees.pdf"}},
			})
		}
		change(&a)
		return a
	}
	require.NoError(t, plan(func(*domain.Analysis) {}).Validate())
	for field, change := range map[string]func(*domain.Analysis){
		"topics":                            func(a *domain.Analysis) { a.Topics = nil },
		"target_audience":                   func(a *domain.Analysis) { a.TargetAudience = " " },
		"difficulty_level":                  func(a *domain.Analysis) { a.Difficulty = "hard" },
		"total_lessons":                     func(a *domain.Analysis) { a.TotalLessons = 11 },
		"sections[0].title":                 func(a *domain.Analysis) { a.Sections[0].Title = "TODO: name it" },
		"sections[1].lessons":               func(a *domain.Analysis) { a.Sections = append(a.Sections, domain.PlannedSection{Title: "Honey"}) },
		"sections[0].lessons[3].title":      func(a *domain.Analysis) { a.Sections[0].Lessons[3].Title = "" },
		"sections[0].lessons[3].key_topics": func(a *domain.Analysis) { a.Sections[0].Lessons[3].KeyTopics = make([]string, 11) },
		"sections[0].lessons[3].sources[0].document": func(a *domain.Analysis) {
			a.Sections[0].Lessons[3].Sources = []domain.Source{{}}
		},
	} {
		err := plan(change).Validate()
		require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: field}, "%s: %v", field, err)
	}
}
