package domain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/domain"
)

func TestACachedAnswerNamesTheFieldItRefuses(t *testing.T) {
	t.Parallel()
	fp := strings.Repeat("0a", 32)
	largest := `{"x":"` + strings.Repeat("x", domain.MaxAnswerBytes-len(`{"x":""}`)) + `"}`
	for name, tc := range map[string]struct {
		fingerprint, result string
		field               string // "" for none
	}{
		"an answer":              {fp, `{"fsmState":{}}`, ""},
		"the largest":            {fp, largest, ""},
		"one byte more":          {fp, largest + " ", "result"},
		"no fingerprint":         {"", `{}`, "fingerprint"},
		"a short fingerprint":    {fp[2:], `{}`, "fingerprint"},
		"a fingerprint not hex":  {strings.Repeat("g", 64), `{}`, "fingerprint"},
		"no result":              {fp, ``, "result"},
		"a result cut short":     {fp, `{"fsmState":`, "result"},
		"a result not an object": {fp, `[]`, "result"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := domain.NewCachedAnswer(domain.Fingerprint(tc.fingerprint), json.RawMessage(tc.result))
			if tc.field != "" {
				require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: tc.field})
				require.Zero(t, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, domain.CachedAnswer{Fingerprint: domain.Fingerprint(tc.fingerprint), Result: json.RawMessage(tc.result)}, got)
		})
	}
}
