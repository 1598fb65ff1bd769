package textextract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/adapters/textextract"
	"lectern/domain"
)

// Without the cap on marks this takes goldmark more than ten seconds, which no
// timeout can cut short.
func TestHostileMarkdownIsReadWithinItsTime(t *testing.T) {
	t.Parallel()
	e := textextract.New(textextract.Options{Timeout: 30 * time.Second})
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	text, err := e.Extract(t.Context(), domain.FormatMarkdown, []byte("# Title\n\n"+strings.Repeat("*a_ ", 400_000)+"\n\nThe end."))
	require.NoError(t, err)
	require.Equal(t, "Title", text.Title)
	require.Equal(t, "The end.", text.Blocks[len(text.Blocks)-1].Text)
}
