package outlinegen_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/adapters/outlinegen"
	"lectern/domain"
)

const title = "Курс по продажам в сфере образования"

// samples are the repository's sample documents, read from their sources.
func samples(t *testing.T) []domain.Document {
	t.Helper()
	files, err := filepath.Glob("../../docs/samples/src/*.md")
	require.NoError(t, err)
	require.Len(t, files, 4)
	var docs []domain.Document
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		docs = append(docs, document(filepath.Base(file), string(source)))
	}
	return docs
}

// document reads the little Markdown that the samples are written in.
func document(name, source string) domain.Document {
	text := &domain.Text{}
	item := regexp.MustCompile(`(?m)^(?:- |\d+\. )`)
	for paragraph := range strings.SplitSeq(source, "\n\n") {
		if list := item.Split(paragraph, -1); len(list) > 1 && list[0] == "" {
			for _, entry := range list[1:] {
				text.Blocks = append(text.Blocks, domain.Block{Kind: domain.BlockListItem, Text: strings.Join(strings.Fields(entry), " ")})
			}
			continue
		}
		paragraph = strings.Join(strings.Fields(paragraph), " ")
		switch heading := strings.TrimLeft(paragraph, "#"); {
		case paragraph == "" || strings.HasPrefix(paragraph, "|"):
		case heading != paragraph:
			text.Blocks = append(text.Blocks, domain.Block{
				Kind: domain.BlockHeading, Level: len(paragraph) - len(heading), Text: strings.TrimSpace(heading),
			})
		default:
			text.Blocks = append(text.Blocks, domain.Block{Kind: domain.BlockParagraph, Text: paragraph})
		}
	}
	return domain.Document{ID: uuid.New(), Name: name, Status: domain.DocumentProcessed, Text: text}
}

func newGenerator(t require.TestingT) *outlinegen.Generator {
	g, err := outlinegen.New()
	require.NoError(t, err)
	return g
}

func course(t require.TestingT, title, language string, style domain.Style, lessons int) domain.Course {
	owner := domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	c, err := domain.NewCourse(uuid.New(), owner, title, language, style, domain.Settings{Lessons: lessons})
	require.NoError(t, err)
	return c
}

func generate(t *testing.T, g *outlinegen.Generator, c domain.Course, docs []domain.Document) domain.Structure {
	t.Helper()
	a, err := g.Analyze(t.Context(), c, docs, new(domain.Usage))
	require.NoError(t, err)
	require.NoError(t, a.Validate())
	s, err := g.Generate(t.Context(), c, a, docs, new(domain.Usage))
	require.NoError(t, err)
	require.NoError(t, s.Validate())
	return s
}

func lessonTitles(s domain.Structure) []string {
	var titles []string
	for _, sec := range s.Sections {
		for _, l := range sec.Lessons {
			titles = append(titles, l.Title)
		}
	}
	return titles
}

func TestLessonsAreAsManyAsWantedAndNamedAfterTheDocumentsHeadings(t *testing.T) {
	t.Parallel()
	docs := samples(t)
	headings := map[string]bool{}
	for _, d := range docs {
		for _, b := range d.Text.Blocks {
			if b.Kind == domain.BlockHeading {
				headings[strings.TrimLeft(b.Text, "0123456789. ")] = true
			}
		}
	}
	s := generate(t, newGenerator(t), course(t, title, "ru", domain.StyleAcademic, 25), docs)
	titles := lessonTitles(s)
	require.Len(t, titles, 25)
	for _, l := range titles {
		require.True(t, headings[l], "%q is no heading of the documents", l)
	}
	require.Len(t, s.Sections, 4)
	for _, sec := range s.Sections {
		for _, l := range sec.Lessons {
			require.NotEmpty(t, l.Sources, l.Title)
		}
	}
}

func TestEveryStyleInEveryLanguageGivesAValidCourse(t *testing.T) {
	t.Parallel()
	g, docs := newGenerator(t), samples(t)
	for _, style := range domain.Styles() {
		for _, language := range []string{"en", "ru", "de", "ja"} {
			t.Run(string(style)+" "+language, func(t *testing.T) {
				t.Parallel()
				generate(t, g, course(t, title, language, style, 0), docs)
				generate(t, g, course(t, title, language, style, 0), nil)
			})
		}
	}
}

func TestTitleAloneGivesFourToTenSections(t *testing.T) {
	t.Parallel()
	g := newGenerator(t)
	for _, topic := range []string{"Go", "C", title, "Основы Python для начинающих", "日本語の文法", "تعلم البرمجة", "🚀1", "Why?", strings.Repeat("длинный ", 120)} {
		for _, language := range []string{"en", "ru", "zh"} {
			for _, lessons := range []int{0, 10, 30} {
				s := generate(t, g, course(t, topic, language, domain.StylePractical, lessons), nil)
				require.GreaterOrEqual(t, len(s.Sections), 4, topic)
				require.LessOrEqual(t, len(s.Sections), 10, topic)
			}
		}
	}
}

func TestSameInputGivesTheSameCourse(t *testing.T) {
	t.Parallel()
	docs, c := samples(t), course(t, title, "ru", domain.StyleStorytelling, 30)
	first, err := json.Marshal(generate(t, newGenerator(t), c, docs))
	require.NoError(t, err)
	for range 3 {
		again, err := json.Marshal(generate(t, newGenerator(t), c, docs))
		require.NoError(t, err)
		require.Equal(t, string(first), string(again))
	}
}

func TestStylesChangeStructureAndKeepTheDocumentsTitles(t *testing.T) {
	t.Parallel()
	g, docs := newGenerator(t), samples(t)
	seen := map[string]domain.Style{}
	for _, style := range []domain.Style{domain.StyleConversational, domain.StyleStorytelling, domain.StylePractical, domain.StyleGamified} {
		s := generate(t, g, course(t, title, "ru", style, 25), docs)
		first := s.Sections[0].Lessons[0]
		shape := first.Exercises[0].Type + s.Sections[0].Title + first.Title
		require.NotContains(t, seen, shape)
		seen[shape] = style
		require.Contains(t, strings.Join(lessonTitles(s), "\n"), "Журнал возражений")
	}
}

func TestCourseIsWordedInItsLanguageWhateverItsSources(t *testing.T) {
	t.Parallel()
	g, docs := newGenerator(t), samples(t)
	english := docs[slices.IndexFunc(docs, func(d domain.Document) bool { return strings.HasPrefix(d.Name, "04") })]
	s := generate(t, g, course(t, "Консультативные продажи", "ru", domain.StylePractical, 12), []domain.Document{english})
	require.Regexp(t, `^[А-Яа-яЁё]`, s.Sections[0].Lessons[0].Objectives[0])
	require.Contains(t, strings.Join(lessonTitles(s), " "), "The Problem Hypothesis")
}

func TestSummaryIsWholeSentencesOfTheText(t *testing.T) {
	t.Parallel()
	doc := samples(t)[0]
	s, err := newGenerator(t).Summarize(t.Context(), *doc.Text, new(domain.Usage))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(s.KeyPhrases), 8)
	require.LessOrEqual(t, len(s.KeyPhrases), 20)
	require.NotEmpty(t, s.Text)
	require.Contains(t, ".!?", s.Text[len(s.Text)-1:])
}

// Documents of any shape, from nothing to noise, in any script.
func TestAnyDocumentsGiveAValidCourse(t *testing.T) {
	t.Parallel()
	g := newGenerator(t)
	words := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"Введение", "продажи", "the", "selling", "。", "...", "TODO: x", "lorem ipsum", "1.2.", "?!", "متجر", "学校", "a", "\u00a0",
	}))
	rapid.Check(t, func(t *rapid.T) {
		var docs []domain.Document
		for range rapid.IntRange(0, 3).Draw(t, "documents") {
			text := &domain.Text{}
			for range rapid.IntRange(0, 12).Draw(t, "blocks") {
				text.Blocks = append(text.Blocks, domain.Block{
					Kind:  rapid.SampledFrom([]domain.BlockKind{domain.BlockHeading, domain.BlockParagraph, domain.BlockListItem, domain.BlockTableRow, domain.BlockCode}).Draw(t, "kind"),
					Level: rapid.IntRange(0, 7).Draw(t, "level"),
					Text:  strings.Join(rapid.SliceOfN(words, 0, 40).Draw(t, "words"), " "),
				})
			}
			docs = append(docs, domain.Document{Name: "a.txt", Status: domain.DocumentProcessed, Text: text})
		}
		c := course(t, "Go", rapid.SampledFrom([]string{"en", "ru", "fr", "xx"}).Draw(t, "language"),
			rapid.SampledFrom(domain.Styles()).Draw(t, "style"), rapid.SampledFrom([]int{0, 10, 40, 200}).Draw(t, "lessons"))
		a, err := g.Analyze(t.Context(), c, docs, new(domain.Usage))
		require.NoError(t, err)
		require.NoError(t, a.Validate())
		s, err := g.Generate(t.Context(), c, a, docs, new(domain.Usage))
		require.NoError(t, err)
		require.NoError(t, s.Validate())
	})
}

func TestHugeDocumentsAreBoundedAndValid(t *testing.T) {
	t.Parallel()
	g := newGenerator(t)
	headings := &domain.Text{}
	for range 100_000 {
		headings.Blocks = append(headings.Blocks, domain.Block{Kind: domain.BlockHeading, Level: 2, Text: "The same heading"})
	}
	line := &domain.Text{Blocks: []domain.Block{{Kind: domain.BlockParagraph, Text: strings.Repeat("word ", 200_000)}}}
	for name, text := range map[string]*domain.Text{"100,000 headings": headings, "one line of 1 MB": line} {
		s := generate(t, g, course(t, "Limits", "en", "", 0), []domain.Document{{Name: name, Text: text}})
		require.Less(t, s.LessonCount(), 201)
	}
}
