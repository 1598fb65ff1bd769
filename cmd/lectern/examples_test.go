package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/outlinegen"
	"lectern/configs"
	"lectern/domain"
	"lectern/ports"
)

// example is a course of docs/examples and the sample documents it is made from.
type example struct {
	title, language string
	style           domain.Style
	documents       []string
}

// examples returns one course for each style of the batch example, two of them
// in Russian and two in English.
func examples() []example {
	russian := []string{"01-metodika-prodazh.docx", "02-rabota-s-vozrazheniyami.pdf", "03-voronka-i-metriki.pdf"}
	english := []string{"04-consultative-selling.pdf"}
	return []example{
		{"Курс по продажам в сфере образования", "ru", domain.StyleConversational, russian},
		{"Курс по продажам в сфере образования", "ru", domain.StyleStorytelling, russian},
		{"A Course on Consultative Selling in Education", "en", domain.StylePractical, english},
		{"A Course on Consultative Selling in Education", "en", domain.StyleGamified, english},
	}
}

// TestExamplesAreWhatTheGeneratorWrites: `make examples` writes them anew.
func TestExamplesAreWhatTheGeneratorWrites(t *testing.T) {
	t.Parallel()
	extractor := newExtractor(configs.Documents{MaxBytes: 32 << 20}, 1)
	t.Cleanup(func() { require.NoError(t, extractor.Close()) })
	generator, err := outlinegen.New()
	require.NoError(t, err)
	texts := map[string]domain.Document{}
	for _, e := range examples() {
		var documents []domain.Document
		for _, name := range e.documents {
			if _, read := texts[name]; !read {
				texts[name] = sample(t, extractor, name)
			}
			documents = append(documents, texts[name])
		}
		got := renderMarkdown(e.make(t, generator, documents))
		file := filepath.Join("../../docs/examples", string(e.style)+".md")
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755)) //nolint:gosec // anybody may read it
			require.NoError(t, os.WriteFile(file, got, 0o600))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "run make examples and read what changed in %s", file)
	}
}

// sample reads a sample document as the pipeline does.
func sample(t *testing.T, extractor ports.Extractor, name string) domain.Document {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../docs/samples", name))
	require.NoError(t, err)
	format, err := extractor.Inspect(t.Context(), name, content)
	require.NoError(t, err)
	text, err := extractor.Extract(t.Context(), format, content)
	require.NoError(t, err)
	return domain.Document{Name: name, Status: domain.DocumentProcessed, Text: &text}
}

func (e example) make(t *testing.T, generator ports.Generator, documents []domain.Document) *domain.Structure {
	t.Helper()
	owner := domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	c, err := domain.NewCourse(uuid.New(), owner, e.title, e.language, e.style, domain.Settings{})
	require.NoError(t, err)
	analysis, err := generator.Analyze(t.Context(), c, documents, new(domain.Usage))
	require.NoError(t, err)
	s, err := generator.Generate(t.Context(), c, analysis, documents, new(domain.Usage))
	require.NoError(t, err)
	return &s
}
