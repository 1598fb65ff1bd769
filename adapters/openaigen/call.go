package openaigen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"lectern/domain"
	"lectern/ports"
)

// call sends messages until there is an answer, max_retries times more than
// once. It does not wait for what it can't live to see, or for longer than
// retry_delay_max: the error then says how long to wait.
func (s *session) call(ctx context.Context, t task, messages []message) (reply, error) {
	for retries := 0; ; {
		r, err := s.request(t, messages)
		if err != nil {
			return reply{}, err
		}
		answer, fault, err := s.try(ctx, r)
		switch {
		case err != nil:
			return reply{}, err
		case fault == nil:
			return answer, nil
		case ctx.Err() != nil:
			return reply{}, fmt.Errorf("call the model: %w", context.Cause(ctx))
		case fault.format && s.endpoint.stepDown(ctx, r.output):
			continue // the same again, in another form
		case fault.failure != ports.GeneratorUnavailable || retries == s.opts.MaxRetries:
			return reply{}, fault.error()
		}
		retries++
		if err := s.wait(ctx, retries, fault); err != nil {
			return reply{}, err
		}
	}
}

// request makes the form in which the endpoint takes a task now.
func (s *session) request(t task, messages []message) (request, error) {
	r := request{name: t.name, schema: t.schema, output: s.endpoint.output.Load(), messages: messages}
	if outputs()[r.output] == outputSchema {
		return r, nil
	}
	form, err := s.prompts.form(t)
	if err != nil {
		return r, err
	}
	r.messages = append([]message{{roleSystem, messages[0].text + "\n\n" + form}}, messages[1:]...)
	return r, nil
}

// try sends a request once, within the budget.
func (s *session) try(ctx context.Context, r request) (reply, *fault, error) {
	size := estimate(string(r.schema))
	for _, m := range r.messages {
		size += estimate(m.text)
	}
	if err := s.meter.reserve(ctx, size); err != nil {
		return reply{}, nil, err
	}
	began := time.Now()
	answer, fault := s.endpoint.send(ctx, r)
	used := usageOf(answer, fault, size)
	s.meter.settle(size, used)
	s.log.DebugContext(ctx, "model called", "task", r.name, "took", time.Since(began).Round(time.Millisecond), "answered", fault == nil,
		"prompt_tokens", used.PromptTokens, "completion_tokens", used.CompletionTokens)
	return answer, fault, nil
}

// usageOf is what a call used: by what the endpoint tells, or by an estimate
// when it tells nothing and may have worked.
func usageOf(r reply, f *fault, prompt int64) domain.Usage {
	u := domain.Usage{Calls: 1, Model: r.model, PromptTokens: r.prompt, CompletionTokens: r.completion}
	if f != nil {
		u.FailedCalls = 1
	}
	if told := u.Tokens() > 0; !told && (f == nil || !f.unasked) {
		u.EstimatedCalls = 1
		u.PromptTokens = prompt
		if r.text != "" {
			u.CompletionTokens = estimate(r.text)
		}
	}
	return u
}

// wait waits before the nth retry.
func (s *session) wait(ctx context.Context, n int, f *fault) error {
	delay := f.after
	if delay == 0 {
		full := min(s.opts.RetryDelay<<min(n-1, 20), s.opts.RetryDelayMax)
		delay = full/2 + rand.N(full/2+1) //nolint:gosec // spreads out those who failed together
	}
	deadline, bounded := ctx.Deadline()
	if delay > s.opts.RetryDelayMax || bounded && time.Until(deadline) < delay {
		return f.error()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the model's endpoint: %w", context.Cause(ctx))
	}
}
