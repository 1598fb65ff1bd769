package openaigen

import (
	"context"
	"fmt"
	"math"
	"sync"

	"lectern/domain"
	"lectern/ports"
)

// meter keeps the calls for a run of a course within its budget. Before a call
// the most that it may use is reserved; afterwards what it did use is counted.
// The calls of a run at once share a meter.
type meter struct {
	opts Options

	mu       sync.Mutex
	used     *domain.Usage
	reserved domain.Usage // by calls in hand
	settled  chan struct{}
}

func newMeter(opts Options, used *domain.Usage) *meter {
	return &meter{opts: opts, used: used, settled: make(chan struct{})}
}

// reserve waits until the budget has room for a call whose prompt has so many
// tokens. While calls are in hand that may leave room, it waits for them; when
// there are none, the budget is used up.
func (m *meter) reserve(ctx context.Context, prompt int64) error {
	for {
		m.mu.Lock()
		fits, inHand, settled := m.fits(prompt), m.reserved.Calls, m.settled
		if fits {
			m.hold(1, prompt)
		}
		err := m.overBudget()
		m.mu.Unlock()
		switch {
		case fits:
			return nil
		case inHand == 0:
			return err
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return fmt.Errorf("wait for the budget: %w", ctx.Err())
		}
	}
}

func (m *meter) hold(calls int, prompt int64) {
	m.reserved.Calls += calls
	m.reserved.PromptTokens += int64(calls) * prompt
	m.reserved.CompletionTokens += int64(calls) * m.opts.MaxAnswerTokens
}

func (m *meter) fits(prompt int64) bool {
	most := domain.Usage{
		PromptTokens:     m.used.PromptTokens + m.reserved.PromptTokens + prompt,
		CompletionTokens: m.used.CompletionTokens + m.reserved.CompletionTokens + m.opts.MaxAnswerTokens,
	}
	return (m.opts.MaxTokens == 0 || most.Tokens() <= m.opts.MaxTokens) && (m.opts.MaxCost == 0 || m.cost(most) <= m.opts.MaxCost)
}

func (m *meter) overBudget() error {
	return &ports.GeneratorError{Failure: ports.GeneratorOverBudget, Err: fmt.Errorf(
		"the next call could use more than generator.options.max_tokens (%d) or max_cost (%v) leave to this run of the course, "+
			"which has used %d tokens at a cost of %v; raise them and restart the course, or give it fewer documents or lessons",
		m.opts.MaxTokens, m.opts.MaxCost, m.used.Tokens(), m.used.Cost)}
}

// settle counts what a call used whose prompt was reserved with so many tokens.
func (m *meter) settle(prompt int64, u domain.Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold(-1, prompt)
	if u.Model != "" {
		m.used.Model = u.Model
	}
	m.used.Calls += u.Calls
	m.used.FailedCalls += u.FailedCalls
	m.used.EstimatedCalls += u.EstimatedCalls
	m.used.PromptTokens += u.PromptTokens
	m.used.CompletionTokens += u.CompletionTokens
	m.used.Cost = m.cost(*m.used)
	close(m.settled)
	m.settled = make(chan struct{})
}

func (m *meter) repair() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used.Repairs++
}

// cost is to a millionth, so that no sum shows a fraction's rounding.
func (m *meter) cost(u domain.Usage) float64 {
	millionths := float64(u.PromptTokens)*m.opts.PricePrompt + float64(u.CompletionTokens)*m.opts.PriceCompletion
	return math.Round(millionths) / 1e6
}

// estimate returns how many tokens a text has, rather too many: a third of its
// bytes, where English has a fourth, and what a message adds.
func estimate(texts ...string) int64 {
	n := int64(0)
	for _, text := range texts {
		n += int64(len(text))/3 + 16
	}
	return n
}
