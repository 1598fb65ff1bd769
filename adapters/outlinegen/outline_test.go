package outlinegen_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/domain"
)

func TestTopicIsWhatTheTitleIsAbout(t *testing.T) {
	t.Parallel()
	g := newGenerator(t)
	for title, want := range map[string]string{
		"Курс по продажам в сфере образования": "Продажи в сфере образования",
		"Курс по финансовой грамотности":       "Финансовая грамотность",
		"Обучение по машинному обучению":       "Машинное обучение",
		"Курс по английскому языку":            "Английский язык",
		"Тренинг по холодным продажам":         "Холодные продажи",
		"Онлайн-курс по Python":                "Python",
		"Курс по делу":                         "Курс по делу", // "дело" or "дел"? It can't tell, and leaves it
		"A Course on Bookkeeping":              "Bookkeeping",
		"The complete guide to Go":             "Go",
		"Go":                                   "Go",
	} {
		a, err := g.Analyze(t.Context(), course(t, title, "ru", "", 0), nil, new(domain.Usage))
		require.NoError(t, err)
		require.Equal(t, want, a.Topics[0])
	}
}

func TestHeadingsLoseTheirNumbersAndGenericOnesAreNoLessons(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/pchely.md")
	require.NoError(t, err)
	a, err := newGenerator(t).Analyze(t.Context(), course(t, "Пасека", "ru", "", 0), []domain.Document{document("a.md", string(source))}, new(domain.Usage))
	require.NoError(t, err)
	var titles []string
	for _, s := range a.Sections {
		for _, l := range s.Lessons {
			titles = append(titles, l.Title)
		}
	}
	all := strings.Join(titles, "\n")
	for _, wanted := range []string{"Медоносные растения", "Вода на пасеке", "Роение"} {
		require.Contains(t, all, wanted)
	}
	for _, unwanted := range []string{"Содержание", "Заключение", "Список литературы", "Глава", "1.1"} {
		require.NotContains(t, all, unwanted)
	}
	require.Equal(t, "Пособие для тех, кто ставит первые ульи.", a.TargetAudience)
}

func TestLessonsQuoteNoTalkNoQuestionsAndNoPlaceholders(t *testing.T) {
	t.Parallel()
	g := newGenerator(t)
	for name, language := range map[string]string{"pchely": "ru", "espresso": "en"} {
		source, err := os.ReadFile("testdata/" + name + ".md")
		require.NoError(t, err)
		s := generate(t, g, course(t, "Course of lessons", language, domain.StyleMinimalist, 0), []domain.Document{document(name, string(source))})
		for _, sec := range s.Sections {
			for _, l := range sec.Lessons {
				for _, unwanted := range []string{"Значит, рано", "Видишь", "Почему нельзя", "TODO", "scales"} {
					require.NotContains(t, l.Content, unwanted)
				}
			}
		}
	}
}

func TestSameHeadingInTwoDocumentsIsOneLesson(t *testing.T) {
	t.Parallel()
	const text = "Первый абзац говорит о ценах и скидках в школе достаточно подробно, чтобы стать уроком для читателя."
	var docs []domain.Document
	for _, name := range []string{"a.md", "b.md"} {
		var b strings.Builder
		b.WriteString("# Документ " + name + "\n\n")
		for _, h := range []string{"Работа с ценой", "Тема " + name, "Вторая тема " + name} {
			b.WriteString("## " + h + "\n\n" + text + " " + text + "\n\n")
		}
		docs = append(docs, document(name, b.String()))
	}
	a, err := newGenerator(t).Analyze(t.Context(), course(t, "Цены", "ru", "", 0), docs, new(domain.Usage))
	require.NoError(t, err)
	found := 0
	for _, s := range a.Sections {
		for _, l := range s.Lessons {
			if l.Title == "Работа с ценой" {
				found++
				require.Len(t, l.Sources, 2)
			}
		}
	}
	require.Equal(t, 1, found)
}

// An analysis may come from elsewhere, or through an editor's hands.
func TestAnyAnalysisGivesAValidCourse(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/espresso.md")
	require.NoError(t, err)
	g, docs := newGenerator(t), []domain.Document{document("espresso.md", string(source))}
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "TBD", "Lorem ipsum", "Разговор о стоимости", "\u200b", strings.Repeat("ж", 3000)}))
	rapid.Check(t, func(t *rapid.T) {
		a := domain.Analysis{
			TargetAudience: text.Draw(t, "audience"), Difficulty: domain.Difficulty(text.Draw(t, "difficulty")),
			Topics: rapid.SliceOfN(text, 0, 30).Draw(t, "topics"),
		}
		for range rapid.IntRange(0, 4).Draw(t, "sections") {
			s := domain.PlannedSection{Title: text.Draw(t, "section")}
			for range rapid.IntRange(0, 5).Draw(t, "lessons") {
				s.Lessons = append(s.Lessons, domain.PlannedLesson{
					Title: text.Draw(t, "lesson"), KeyTopics: rapid.SliceOfN(text, 0, 12).Draw(t, "key topics"),
					Sources: []domain.Source{{Document: docs[0].Name, Heading: text.Draw(t, "heading")}},
				})
			}
			a.Sections = append(a.Sections, s)
		}
		c := course(t, "Go", rapid.SampledFrom([]string{"en", "ru", "xx"}).Draw(t, "language"), rapid.SampledFrom(domain.Styles()).Draw(t, "style"), 0)
		s, err := g.Generate(t.Context(), c, a, docs, new(domain.Usage))
		require.NoError(t, err)
		require.NoError(t, s.Validate())
	})
}

func BenchmarkCourseOfFourDocuments(b *testing.B) {
	g := newGenerator(b)
	var docs []domain.Document
	for _, name := range []string{"01-metodika-prodazh", "02-rabota-s-vozrazheniyami", "03-voronka-i-metriki", "04-consultative-selling"} {
		source, err := os.ReadFile("../../docs/samples/src/" + name + ".md")
		require.NoError(b, err)
		docs = append(docs, document(name+".md", string(source)))
	}
	c := course(b, title, "ru", domain.StylePractical, 25)
	for b.Loop() {
		a, err := g.Analyze(b.Context(), c, docs, new(domain.Usage))
		require.NoError(b, err)
		_, err = g.Generate(b.Context(), c, a, docs, new(domain.Usage))
		require.NoError(b, err)
	}
}

// Without what a generator keeps of documents it has read.
func BenchmarkReadingFourDocuments(b *testing.B) {
	g := newGenerator(b)
	var texts []domain.Text
	for _, name := range []string{"01-metodika-prodazh", "02-rabota-s-vozrazheniyami", "03-voronka-i-metriki", "04-consultative-selling"} {
		source, err := os.ReadFile("../../docs/samples/src/" + name + ".md")
		require.NoError(b, err)
		texts = append(texts, *document(name+".md", string(source)).Text)
	}
	for b.Loop() {
		for _, text := range texts {
			_, err := g.Summarize(b.Context(), text, new(domain.Usage))
			require.NoError(b, err)
		}
	}
}
