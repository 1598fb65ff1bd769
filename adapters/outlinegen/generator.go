package outlinegen

import (
	"context"
	"fmt"

	"lectern/domain"
	"lectern/ports"
)

// Generator writes courses from documents and titles. It holds templates and
// the last documents it read, which nobody changes, so one serves any number of
// callers at once.
type Generator struct {
	library   library
	languages languages
	profiles  map[domain.Style]profile
}

var _ ports.Generator = (*Generator)(nil)

// New parses the embedded templates. An error names the file at fault.
func New() (*Generator, error) {
	l, err := loadLanguages()
	if err != nil {
		return nil, fmt.Errorf("load templates: %w", err)
	}
	p, err := loadProfiles(l)
	if err != nil {
		return nil, fmt.Errorf("load templates: %w", err)
	}
	return &Generator{languages: l, profiles: p}, nil
}

// Name returns "outline".
func (g *Generator) Name() string { return "outline" }

// The number of key phrases of a document.
const maxKeyPhrases = 20

// Summarize returns three to six sentences of the text, in its order, and up
// to 20 key phrases; fewer, or nothing, where the text holds no more.
func (g *Generator) Summarize(ctx context.Context, text domain.Text, _ *domain.Usage) (domain.Summary, error) {
	if err := ctx.Err(); err != nil {
		return domain.Summary{}, fmt.Errorf("summarize text: %w", err)
	}
	c := readAll(g.languages.lexicon, []domain.Document{{Name: text.Title, Text: &text}})
	return domain.Summary{Text: c.summarize(), KeyPhrases: c.phrases.top(maxKeyPhrases)}, nil
}

// Analyze plans the course from the documents' headings, or from its title
// when no document has text.
func (g *Generator) Analyze(ctx context.Context, c domain.Course, docs []domain.Document, _ *domain.Usage) (domain.Analysis, error) {
	if err := ctx.Err(); err != nil {
		return domain.Analysis{}, fmt.Errorf("analyze course: %w", err)
	}
	p := g.planner(c, docs)
	return p.analysis(c, p.plan()), nil
}

// Generate writes the course that the analysis plans. Sections and lessons of
// an analysis that Analyze did not make, or that somebody edited, are kept:
// their text is found by their sources. An empty analysis stands for Analyze's.
func (g *Generator) Generate(
	ctx context.Context, c domain.Course, a domain.Analysis, docs []domain.Document, _ *domain.Usage,
) (domain.Structure, error) {
	if err := ctx.Err(); err != nil {
		return domain.Structure{}, fmt.Errorf("generate course: %w", err)
	}
	p := g.planner(c, docs)
	own := p.plan()
	if len(a.Sections) == 0 {
		a = p.analysis(c, own)
	}
	w := newWriter(p, c, a)
	s := w.structure(p.adopt(a, own))
	if err := s.Validate(); err != nil {
		return domain.Structure{}, fmt.Errorf("validate generated course: %w", err)
	}
	return s, nil
}

func (g *Generator) planner(c domain.Course, docs []domain.Document) *planner {
	profile, ok := g.profiles[c.Style]
	if !ok {
		profile = g.profiles[domain.StyleConversational]
	}
	return &planner{
		corpus: g.library.read(g.languages.lexicon, docs),
		locale: g.languages.of(c.Language), profile: profile,
		topic: topicOf(c.Title), wanted: c.Settings.Lessons,
	}
}
