package openaigen_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/adapters/openaigen"
	"lectern/adapters/openaigen/fakeopenai"
)

// Whatever a model says is read without harm, and what passes can be stored.
func FuzzAnswer(f *testing.F) {
	const fence = "<material>\n"
	for _, material := range []string{
		`{"title": "Bees", "documents": [{"id": "D1"}]}`, `{"title": "Bees", "plan": [{}]}`, `{"lessons": [{"lesson_number": 1}]}`, `{"text": "x"}`,
	} {
		answer, err := fakeopenai.Answer(fakeopenai.Request{Messages: []fakeopenai.Message{
			{Role: "user", Content: "\n" + fence + material + "\n</material>"},
		}})
		require.NoError(f, err)
		f.Add(answer)
		f.Add("<think>{</think>```json\n" + answer + "\n```")
	}
	f.Add(`{"topics": null, "sections": [{"lessons": [null]}]}`)
	f.Add("{\"topics\": [\"\\u0000\\ud800\u202e\"]}{{{[[[")
	f.Fuzz(func(t *testing.T, said string) {
		a, err := openaigen.ReadAnswer(said)
		if err != nil {
			return
		}
		require.NoError(t, a.Validate())
		text, err := json.Marshal(a)
		require.NoError(t, err)
		require.NotContains(t, string(text), `\u0000`)
	})
}
