package ports

import (
	"context"
	"time"

	"lectern/domain"
)

// Generator writes courses. A generator that is deterministic gives the same
// answer for the same input.
//
// used is what was used for the course's run before the call. A generator that
// uses a language model adds to it what the call used, also when the call
// fails, and begins nothing that would lead past the generator's budget for a
// run. One that uses none leaves it alone. A failure that it can name is a
// *GeneratorError.
type Generator interface {
	// Name identifies the generator in generation_metadata.
	Name() string

	// Summarize returns a summary and the key phrases of a text.
	Summarize(ctx context.Context, text domain.Text, used *domain.Usage) (domain.Summary, error)

	// Analyze plans the course. Documents may be empty: then the title is all
	// there is to plan from.
	Analyze(ctx context.Context, c domain.Course, docs []domain.Document, used *domain.Usage) (domain.Analysis, error)

	// Generate writes the course that analysis plans, in the course's style
	// and language. The structure passes Structure.Validate.
	Generate(ctx context.Context, c domain.Course, a domain.Analysis, docs []domain.Document, used *domain.Usage) (domain.Structure, error)
}

// GeneratorFailure is the kind of a generator's failure.
type GeneratorFailure string

// The kinds. Of these, the first three are final: another attempt would end
// the same way.
const (
	GeneratorOverBudget  GeneratorFailure = "over budget" // of the course's run
	GeneratorRefused     GeneratorFailure = "refused"     // the model, or a filter around it, won't write this
	GeneratorRejected    GeneratorFailure = "rejected"    // the endpoint won't take our requests as they are: a key, a model, a size
	GeneratorUnusable    GeneratorFailure = "unusable"    // the answers were not what was asked for
	GeneratorUnavailable GeneratorFailure = "unavailable" // the endpoint is down, slow or busy
)

// GeneratorError is a generator's failure. Neither a document's text nor a
// secret is in it.
type GeneratorError struct {
	Failure GeneratorFailure
	After   time.Duration // another attempt should wait so long; 0 if it was not said
	Err     error         // says what happened, and what to do
}

// Error implements error.
func (e *GeneratorError) Error() string { return string(e.Failure) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *GeneratorError) Unwrap() error { return e.Err }

// Final reports whether another attempt would end the same way.
func (e *GeneratorError) Final() bool {
	switch e.Failure {
	case GeneratorOverBudget, GeneratorRefused, GeneratorRejected:
		return true
	case GeneratorUnusable, GeneratorUnavailable:
	}
	return false
}
