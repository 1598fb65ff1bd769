package domain_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/domain"
)

func owner() domain.Identity {
	return domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
}

func TestNewCourseNamesTheFieldItRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		title, language string
		style           domain.Style
		settings        domain.Settings
		field           string
	}{
		"empty title":                  {title: "", field: "title"},
		"title of blanks":              {title: " \t ", field: "title"},
		"title of 1,001 characters":    {title: strings.Repeat("я", 1001), field: "title"},
		"title that is not UTF-8":      {title: "a\xff", field: "title"},
		"title with a NUL":             {title: "a\x00b", field: "title"},
		"title of punctuation alone":   {title: "?!", field: "title"},
		"unknown style":                {title: "Go", style: "boring", field: "style"},
		"language that is not a tag":   {title: "Go", language: "english!", field: "language"},
		"language tag of one letter":   {title: "Go", language: "e", field: "language"},
		"fewer lessons than the least": {title: "Go", settings: domain.Settings{Lessons: 9}, field: "lessons"},
		"more lessons than the most":   {title: "Go", settings: domain.Settings{Lessons: 201}, field: "lessons"},
		"unknown pipeline":             {title: "Go", settings: domain.Settings{Pipeline: "magic"}, field: "pipeline"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := domain.NewCourse(uuid.New(), owner(), tt.title, tt.language, tt.style, tt.settings)
			require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: tt.field})
		})
	}
}

func TestNewCourseFillsInWhatTheAuthorLeftOpen(t *testing.T) {
	t.Parallel()
	c, err := domain.NewCourse(uuid.New(), owner(), "  Курс  по\nпродажам ", "PT-br", "", domain.Settings{})
	require.NoError(t, err)
	require.Equal(t, "Курс по продажам", c.Title)
	require.Equal(t, "pt-br", c.Language)
	require.Equal(t, domain.StyleConversational, c.Style)
	require.Equal(t, domain.PipelineAutomatic, c.Settings.Pipeline)
	require.Equal(t, domain.StatePending, c.State)
	require.True(t, strings.HasPrefix(c.Slug, "курс-по-продажам-"), c.Slug)
}

func TestAnyTitleIsTakenOrRefusedAndASlugNeverBreaks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		title := rapid.String().Draw(t, "title")
		c, err := domain.NewCourse(uuid.New(), owner(), title, "", "", domain.Settings{})
		if err != nil {
			require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "title"})
			return
		}
		require.True(t, utf8.ValidString(c.Slug))
		require.NotContains(t, c.Slug, " ")
		require.LessOrEqual(t, utf8.RuneCountInString(c.Slug), 80+1+8)
	})
}

func TestCleanFileNameKeepsTheLastElement(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a.pdf": "a.pdf", "../../etc/passwd": "passwd", `C:\docs\план.docx`: "план.docx", "/x/y.md": "y.md",
	} {
		got, err := domain.CleanFileName(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", "/", "..", "a\x00b", "a\nb", strings.Repeat("x", 256), "a\xff"} {
		_, err := domain.CleanFileName(in)
		require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "name"}, "%q", in)
	}
}
