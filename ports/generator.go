package ports

import (
	"context"

	"lectern/domain"
)

// Generator writes courses. A generator that is deterministic gives the same
// answer for the same input.
type Generator interface {
	// Name identifies the generator in generation_metadata.
	Name() string

	// Summarize returns an extractive summary and the key phrases of a text.
	Summarize(ctx context.Context, text domain.Text) (domain.Summary, error)

	// Analyze plans the course. Documents may be empty: then the title is all
	// there is to plan from.
	Analyze(ctx context.Context, c domain.Course, docs []domain.Document) (domain.Analysis, error)

	// Generate writes the course that analysis plans, in the course's style
	// and language. The structure passes Structure.Validate.
	Generate(ctx context.Context, c domain.Course, a domain.Analysis, docs []domain.Document) (domain.Structure, error)
}
