package textextract_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/adapters/textextract"
	"lectern/domain"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew; read what changed before you commit it") //nolint:gochecknoglobals // flags are read before tests run

// What office programs and libraries wrote; scripts/testdocs makes them.
func TestADocumentOfAnOfficeProgramReadsAsItsAuthorWroteIt(t *testing.T) {
	t.Parallel()
	e := newExtractor(t, textextract.Options{SpeakerNotes: true})
	for _, name := range []string{
		"handbook.docx", "handbook.odt", "handbook.epub", "handbook-2.epub", "objections.pptx", "objections-libreoffice.pptx", "plan.xlsx", "plan-libreoffice.xlsx",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := readFile(t, "testdata/"+name)
			format, err := e.Inspect(t.Context(), name, content)
			require.NoError(t, err)
			nameless, err := e.Inspect(t.Context(), "nameless", content)
			require.NoError(t, err)
			require.Equal(t, format, nameless)
			text, err := e.Extract(t.Context(), format, content)
			require.NoError(t, err)
			checkGolden(t, filepath.Join("testdata", name+".golden"), printed(text))
		})
	}
}

func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	require.Equal(t, string(readFile(t, file)), got)
}

// printed shows a text as a person would read it.
func printed(text domain.Text) string {
	var b strings.Builder
	fmt.Fprintf(&b, "title: %s\n\n", text.Title)
	for _, block := range text.Blocks {
		if block.Page > 0 {
			fmt.Fprintf(&b, "[%d] ", block.Page)
		}
		switch block.Kind {
		case domain.BlockHeading:
			b.WriteString(strings.Repeat("#", block.Level) + " ")
		case domain.BlockListItem:
			b.WriteString(strings.Repeat("  ", block.Level) + "- ")
		case domain.BlockTableRow:
			b.WriteString("| ")
		default:
		}
		b.WriteString(block.Text + "\n")
	}
	return b.String()
}
