package openaigen

import (
	"context"
	"fmt"
	"log/slog"

	"lectern/domain"
	"lectern/ports"
)

// Generator writes courses with a language model. One serves any number of
// callers at once.
type Generator struct {
	opts     Options
	endpoint *endpoint
	prompts  prompts
	log      *slog.Logger
}

var _ ports.Generator = (*Generator)(nil)

// New makes a generator, and calls nobody yet. An error names the option or the
// embedded file at fault.
func New(opts Options, log *slog.Logger) (*Generator, error) {
	p, err := loadPrompts()
	if err != nil {
		return nil, fmt.Errorf("load prompts: %w", err)
	}
	e, err := newEndpoint(opts, log)
	if err != nil {
		return nil, err
	}
	return &Generator{opts: opts, endpoint: e, prompts: p, log: log}, nil
}

// Close lets idle connections go.
func (g *Generator) Close() { g.endpoint.close() }

// Ping asks the endpoint whether it knows us. It uses no tokens, and sends no
// document.
func (g *Generator) Ping(ctx context.Context) error { return g.endpoint.ping(ctx) }

// Name returns "openai".
func (g *Generator) Name() string { return "openai" }

// session is the calls of one method for a course, with what they used.
type session struct {
	*Generator
	meter *meter
}

func (g *Generator) session(used *domain.Usage) *session {
	return &session{Generator: g, meter: newMeter(g.opts, used)}
}

// Summarize returns a summary of the text, in its language, and up to 20 key
// phrases; nothing of a text without words. A text that is too long for a
// prompt is read in parts.
func (g *Generator) Summarize(ctx context.Context, text domain.Text, used *domain.Usage) (domain.Summary, error) {
	s, err := g.session(used).summarize(ctx, text)
	if err != nil {
		return domain.Summary{}, fmt.Errorf("ask the model for a summary: %w", err)
	}
	return s, nil
}

// Analyze plans the course from the documents' summaries and headings, or from
// its title alone. Each lesson of a course with documents names the places in
// them that it rests on.
func (g *Generator) Analyze(ctx context.Context, c domain.Course, docs []domain.Document, used *domain.Usage) (domain.Analysis, error) {
	a, err := g.session(used).plan(ctx, c, docs)
	if err != nil {
		return domain.Analysis{}, fmt.Errorf("ask the model for a plan: %w", err)
	}
	return a, nil
}

// Generate writes the course that the analysis plans: its titles and sources
// are kept, whoever made it. An empty analysis stands for Analyze's.
func (g *Generator) Generate(
	ctx context.Context, c domain.Course, a domain.Analysis, docs []domain.Document, used *domain.Usage,
) (domain.Structure, error) {
	session := g.session(used)
	if len(a.Sections) == 0 {
		var err error
		if a, err = session.plan(ctx, c, docs); err != nil {
			return domain.Structure{}, fmt.Errorf("ask the model for a plan: %w", err)
		}
	}
	if err := a.Validate(); err != nil {
		return domain.Structure{}, fmt.Errorf("read plan of course: %w", err)
	}
	s, err := session.write(ctx, c, a, docs)
	if err != nil {
		return domain.Structure{}, fmt.Errorf("ask the model for the course: %w", err)
	}
	return s, nil
}
