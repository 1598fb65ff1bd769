package app_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
	"lectern/ports"
)

// model is a generator that a call costs ten tokens, and whose calls fail from
// the nth on.
type model struct {
	generator
	fails int
	err   error
	calls int
}

func (m *model) Summarize(_ context.Context, _ domain.Text, used *domain.Usage) (domain.Summary, error) {
	m.calls++
	used.Calls++
	used.PromptTokens += 10
	if m.calls >= m.fails {
		return domain.Summary{}, m.err
	}
	return domain.Summary{Text: "In short."}, nil
}

func twoDocuments() *workshop {
	w := newWorkshop()
	for range 2 {
		w.steps.docs = append(w.steps.docs, domain.Document{ID: uuid.New(), Name: "plan.pdf", Status: domain.DocumentProcessed, Text: &domain.Text{}})
	}
	w.steps.course.Metadata = []byte(`{"documents": 7, "usage": {"calls": 2, "prompt_tokens": 30, "completion_tokens": 5}}`)
	return w
}

// What a model was paid for is not paid for again: the summaries that were
// there when one failed are stored with what all of them used.
func TestWhatWasDoneBeforeAFailureIsKept(t *testing.T) {
	t.Parallel()
	w := twoDocuments()
	w.deps.Generator = &model{fails: 2, err: errors.New("no idea")}
	require.True(t, w.deliver(t, domain.QueueSummarization, domain.JobData{}, 0))
	step := w.only(t)
	require.NotNil(t, step.Retry)
	require.Empty(t, step.OnLast)
	require.Len(t, step.Documents, 1)
	require.Equal(t, w.steps.docs[0].ID, step.Documents[0].ID)
	require.Equal(t, map[string]any{"usage": domain.Usage{Calls: 4, PromptTokens: 50, CompletionTokens: 5}}, step.Metadata)
}

func TestAFailureThatIsFinalEndsTheRunAtOnce(t *testing.T) {
	t.Parallel()
	for _, failure := range []ports.GeneratorFailure{ports.GeneratorOverBudget, ports.GeneratorRefused, ports.GeneratorRejected} {
		w := twoDocuments()
		w.deps.Generator = &model{fails: 1, err: &ports.GeneratorError{Failure: failure, Err: errors.New("that was it")}}
		require.True(t, w.deliver(t, domain.QueueSummarization, domain.JobData{}, 0))
		require.Equal(t, "summarization: summarize plan.pdf: "+string(failure)+": that was it", w.only(t).Fail)
		require.NotEmpty(t, w.only(t).Metadata, "what it used")
	}
}

func TestTheNextAttemptWaitsAsLongAsTheGeneratorAsks(t *testing.T) {
	t.Parallel()
	for asked, waits := range map[time.Duration]time.Duration{
		0: 500 * time.Millisecond, time.Minute: time.Minute, 365 * 24 * time.Hour: time.Hour,
	} {
		w := twoDocuments()
		w.deps.Generator = &model{fails: 1, err: &ports.GeneratorError{Failure: ports.GeneratorUnavailable, After: asked, Err: errors.New("busy")}}
		require.True(t, w.deliver(t, domain.QueueSummarization, domain.JobData{}, 0))
		require.Equal(t, w.deps.Now().Add(waits), w.only(t).Retry.NotBefore)
	}
}

// A result that can't be stored must not keep the failure from being stored.
func TestAFailureIsStoredWithoutTheResultThatTheDatabaseRefuses(t *testing.T) {
	t.Parallel()
	w := twoDocuments()
	w.deps.Generator = &model{fails: 2, err: &ports.GeneratorError{Failure: ports.GeneratorRefused, Err: errors.New("no")}}
	w.steps.refuse = errors.New("invalid jsonb")
	require.True(t, w.deliver(t, domain.QueueSummarization, domain.JobData{}, 0))
	require.Len(t, w.steps.advanced, 2)
	require.Contains(t, w.steps.advanced[1].Fail, "refused: no")
	require.Empty(t, w.steps.advanced[1].Documents)
}
