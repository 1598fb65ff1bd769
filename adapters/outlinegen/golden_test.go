package outlinegen_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// UPDATE_GOLDEN=1 writes the files anew; read the difference before accepting it.
func TestCoursesReadAsTheyDid(t *testing.T) {
	t.Parallel()
	g := newGenerator(t)
	for name, c := range map[string]domain.Course{
		"pchely":     course(t, "Пасека с нуля", "ru", domain.StyleConversational, 0),
		"espresso":   course(t, "Espresso", "en", domain.StyleGamified, 12),
		"title_only": course(t, "Курс по финансовой грамотности", "ru", domain.StyleMicrolearning, 10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var docs []domain.Document
			if source, err := os.ReadFile(filepath.Join("testdata", name+".md")); err == nil {
				docs = append(docs, document(name+".md", string(source)))
			}
			c.ID = uuid.Nil
			got, err := json.MarshalIndent(generate(t, g, c, docs), "", "  ")
			require.NoError(t, err)
			golden := filepath.Join("testdata", name+".golden.json")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got)+"\n")
		})
	}
}
