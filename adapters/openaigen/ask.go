package openaigen

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"lectern/ports"
)

// task is what a model is asked for.
type task struct {
	name     string          // of the schema, and for the log
	schema   json.RawMessage // of the answer
	language string          // of the prompts
	system   string
	user     string
}

// How much of an answer that is sent back, and of what is wrong with it.
const (
	maxReturned = 100_000 // bytes
	maxProblems = 20
)

// finishLength is the finish_reason of an answer that was cut off.
const finishLength = "length"

// ask puts a task to the model until check finds nothing wrong with the answer.
// An answer is sent back with all that is wrong with it, max_repairs times.
func ask[A any](ctx context.Context, s *session, t task, check func(A) []string) (A, error) {
	messages := []message{{roleSystem, t.system}, {roleUser, t.user}}
	for repairs := 0; ; repairs++ {
		said, err := s.call(ctx, t, messages)
		if err != nil {
			return *new(A), err
		}
		answer, problems := judge(s, said, check)
		if len(problems) == 0 {
			return answer, nil
		}
		s.log.DebugContext(ctx, "model's answer sent back", "task", t.name, "problems", len(problems), "repairs", repairs)
		if repairs == s.opts.MaxRepairs {
			return *new(A), unusable(t, problems)
		}
		again, err := s.prompts.repair(t, problems[:min(len(problems), maxProblems)])
		if err != nil {
			return *new(A), err
		}
		s.meter.repair()
		// Only the last answer stays: what was wrong with those before is history.
		messages = []message{messages[0], messages[1], {roleAssistant, returned(said.text)}, {roleUser, again}}
	}
}

func judge[A any](s *session, said reply, check func(A) []string) (A, []string) {
	var answer A
	if said.finish == finishLength {
		return answer, []string{fmt.Sprintf(
			"the answer was cut off, for it had more than %d tokens: say the same in fewer words, and close every bracket", s.opts.MaxAnswerTokens)}
	}
	if err := readAnswer(said.text, &answer); err != nil {
		return answer, []string{err.Error()}
	}
	return answer, check(answer)
}

func returned(text string) string {
	if text == "" {
		return "{}" // some endpoints refuse an empty message
	}
	return strings.ToValidUTF8(text[:min(len(text), maxReturned)], "")
}

func unusable(t task, problems []string) error {
	shown := strings.Join(problems[:min(len(problems), 3)], "; ")
	return &ports.GeneratorError{Failure: ports.GeneratorUnusable, Err: fmt.Errorf(
		"the model's answer (%s) is not what was asked for, after every repair: %s; "+
			"a larger model, more generator.options.max_repairs or max_answer_tokens may help", t.name, shown)}
}

// one makes a list of problems of an error.
func one(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}
