package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// `go test ./cmd/lectern -run Golden -update` writes the files anew.
var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // flags are read before tests run

func TestGoldenRenderings(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"en", "ru"} {
		for format, ending := range map[string]string{formatOutline: "txt", formatJSON: "json", formatMarkdown: "md"} {
			t.Run(language+" "+format, func(t *testing.T) {
				t.Parallel()
				got, err := render(course(language), format)
				require.NoError(t, err)
				golden := filepath.Join("testdata", "course."+language+"."+ending)
				if *update {
					require.NoError(t, os.WriteFile(golden, got, 0o600))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), string(got))
			})
		}
	}
}

func TestJSONIsTheStructureAndNothingElse(t *testing.T) {
	t.Parallel()
	text, err := render(course("en"), formatJSON)
	require.NoError(t, err)
	var back domain.Structure
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, course("en"), &back)
	require.Contains(t, string(text), "<b>", "text is not escaped for HTML")
}

func TestAStrangersTextNeitherCommandsTheTerminalNorFormsMarkdown(t *testing.T) {
	t.Parallel()
	s := course("en")
	s.Title = "\x1b[2JClear *this* <script> [x](y) `z` screen"
	s.Description = "# not a heading\n- nor a list"

	outline := string(renderOutline(s))
	require.NotContains(t, outline, "\x1b")
	document := string(renderMarkdown(s))
	require.NotContains(t, document, "\x1b")
	require.Contains(t, document, `# \[2JClear \*this\* \<script> \[x\](y) \`+"`z\\`"+` screen`)
	require.Contains(t, document, "\\# not a heading\n\n\\- nor a list\n")
}

// course is a small course whose text tries the renderers.
func course(language string) *domain.Structure {
	if language == "ru" {
		return &domain.Structure{
			Title: "Курс по продажам в сфере образования", Description: "Как вести консультацию от заявки до договора и не потерять доверие.",
			Overview: "Первый абзац обзора.\nВторой абзац обзора.", TargetAudience: "Менеджеры приёмной комиссии",
			DurationHours: 12.5, Difficulty: domain.DifficultyIntermediate, Prerequisites: []string{},
			LearningOutcomes: []string{"Вести консультацию", "Отвечать на возражения", "Считать воронку"}, AssessmentStrategy: "Тест и разбор звонка.",
			Tags: []string{"продажи", "образование", "воронка", "метрики", "возражения"}, Language: "ru", Style: domain.StyleAcademic,
			Sections: []domain.Section{{
				Number: 1, Title: "Воронка и метрики", Description: "О том, что измерять.", LearningObjectives: []string{"Считать конверсию"},
				DurationMinutes: 45, Lessons: []domain.Lesson{lesson(1, "Конверсия", "Доля тех, кто сделал следующий шаг.")},
			}},
		}
	}
	return &domain.Structure{
		Title: "Beekeeping for beginners, from the first hive to the first harvest, told by those who were stung most often of all",
		Description: "What a new beekeeper needs for the first year: the tools, the hive, the calendar of the work, and the courage " +
			"to open the lid on a warm day in May.",
		Overview: "One paragraph.\nAnother, with <b>marks</b> & an ampersand.", TargetAudience: "Gardeners", DurationHours: 3,
		Difficulty: domain.DifficultyBeginner, Prerequisites: []string{"No fear of heights"},
		LearningOutcomes: []string{"Open a hive", "Read a comb", "Harvest honey"}, AssessmentStrategy: "A quiz a section.",
		Tags: []string{"bees", "honey", "hives", "garden", "spring"}, Language: "en", Style: domain.StylePractical,
		Sections: []domain.Section{
			{
				Number: 1, Title: "The hive", Description: "What it is made of.", LearningObjectives: []string{"Name its parts"},
				DurationMinutes: 90, Lessons: []domain.Lesson{
					lesson(1, "Frames", "Frames hold the comb.\nTake them out one by one."),
					lesson(2, "A lesson whose title is so long that it does not fit on one line of a terminal and so has to go on below", "Text."),
				},
			},
			{
				Number: 2, Title: "The year", Description: "When to do what.", LearningObjectives: []string{"Plan"},
				DurationMinutes: 30, Lessons: []domain.Lesson{lesson(3, "Spring", "Begin.")},
			},
		},
	}
}

func lesson(number int, title, content string) domain.Lesson {
	return domain.Lesson{
		Number: number, Title: title, Objectives: []string{"Do it"}, KeyTopics: []string{"one", "two"}, Content: content, DurationMinutes: 15,
		Exercises: []domain.Exercise{{Type: "practice", Title: "Try", Description: "Try it once."}},
		Sources:   []domain.Source{{Document: "notes.pdf", Heading: "Chapter", Page: 3}, {Document: "talk.md"}},
	}
}
