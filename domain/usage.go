package domain

import "encoding/json"

// Usage is what was used of language models for one run of a course.
type Usage struct {
	Model            string  `json:"model,omitempty"`   // that answered last, by the name it gave
	Calls            int     `json:"calls"`             // requests sent
	FailedCalls      int     `json:"failed_calls"`      // those of them that brought no answer
	Repairs          int     `json:"repairs"`           // answers sent back with what was wrong with them
	PromptTokens     int64   `json:"prompt_tokens"`     //
	CompletionTokens int64   `json:"completion_tokens"` //
	EstimatedCalls   int     `json:"estimated_calls"`   // those whose tokens nobody told, and that were estimated
	Cost             float64 `json:"cost,omitempty"`    // by the configured prices, in their currency
}

// usageKey is Usage's in generation_metadata.
const usageKey = "usage"

// UsageOf returns the usage that generation_metadata tells of.
func UsageOf(metadata json.RawMessage) Usage {
	var known map[string]json.RawMessage
	var used Usage
	if json.Unmarshal(metadata, &known) != nil || json.Unmarshal(known[usageKey], &used) != nil {
		return Usage{} // none, or another's: every course begins without
	}
	return used
}

// Metadata returns what a step adds to generation_metadata to tell of the
// usage: nothing while there is none.
func (u Usage) Metadata() map[string]any {
	if u == (Usage{}) {
		return nil
	}
	return map[string]any{usageKey: u}
}

// Tokens returns all tokens, of prompts and of completions.
func (u Usage) Tokens() int64 { return u.PromptTokens + u.CompletionTokens }
