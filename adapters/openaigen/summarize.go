package openaigen

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"lectern/domain"
)

// The limits of a summary, which its schema tells the model.
const (
	maxSummaryRunes = 4000
	maxKeyPhrases   = 20
	maxPhraseRunes  = 200
	maxParts        = 16 // of a text; of a longer one, parts are left out evenly
)

// textMaterial is what a summary is made of.
type textMaterial struct {
	Title string `json:"document_title,omitempty"`
	Part  string `json:"part,omitempty"` // "2 of 5"
	Text  string `json:"text,omitempty"`
	Parts []any  `json:"summaries_of_parts,omitempty"`
}

func (s *session) summarize(ctx context.Context, text domain.Text) (domain.Summary, error) {
	parts := textParts(plain(text.Blocks), s.opts.MaxMaterial)
	if len(parts) == 0 {
		return domain.Summary{}, nil
	}
	material := textMaterial{Title: cut(text.Title, maxPhraseRunes), Text: parts[0]}
	if len(parts) == 1 {
		return s.summary(ctx, material)
	}
	whole := textMaterial{Title: material.Title}
	for i, part := range parts {
		material.Part, material.Text = fmt.Sprintf("%d of %d", i+1, len(parts)), part
		summary, err := s.summary(ctx, material)
		if err != nil {
			return domain.Summary{}, err
		}
		whole.Parts = append(whole.Parts, summary)
	}
	return s.summary(ctx, whole)
}

func (s *session) summary(ctx context.Context, m textMaterial) (domain.Summary, error) {
	t, err := s.prompts.task(taskSummary, english, view{Part: m.Part != ""}, m)
	if err != nil {
		return domain.Summary{}, err
	}
	return ask(ctx, s, t, checkSummary)
}

func checkSummary(s domain.Summary) []string {
	var problems []string
	if n := utf8.RuneCountInString(s.Text); n < 1 || n > maxSummaryRunes {
		problems = append(problems, fmt.Sprintf("text: must have 1 to %d characters, has %d", maxSummaryRunes, n))
	}
	if n := len(s.KeyPhrases); n < 1 || n > maxKeyPhrases {
		problems = append(problems, fmt.Sprintf("key_phrases: must have 1 to %d items, has %d", maxKeyPhrases, n))
	}
	for i, p := range s.KeyPhrases {
		if n := utf8.RuneCountInString(p); n < 1 || n > maxPhraseRunes {
			problems = append(problems, fmt.Sprintf("key_phrases[%d]: must have 1 to %d characters, has %d", i, maxPhraseRunes, n))
		}
	}
	return problems
}

// textParts cuts a text into parts of up to so many characters, at the ends of
// lines where it can.
func textParts(text string, limit int) []string {
	var all []string
	rest := []rune(strings.TrimSpace(text))
	for len(rest) > 0 {
		end := min(len(rest), limit)
		if end < len(rest) {
			for i := end; i > limit/2; i-- {
				if rest[i-1] == '\n' {
					end = i
					break
				}
			}
		}
		if part := strings.TrimSpace(string(rest[:end])); part != "" {
			all = append(all, part)
		}
		rest = rest[end:]
	}
	if len(all) <= maxParts {
		return all
	}
	some := make([]string, maxParts)
	for i := range some {
		some[i] = all[i*(len(all)-1)/(maxParts-1)]
	}
	return some
}
