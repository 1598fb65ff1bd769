package textextract_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"log" //nolint:depguard // what libraries would write to
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/adapters/textextract"
	"lectern/domain"
)

// What an error says ends up in logs, in the course's events, and on screens.
// Not parallel: it takes over the process's log.
func TestNothingOfADocumentIsLoggedOrToldInAnError(t *testing.T) {
	const secret = "passport4509"
	var logged bytes.Buffer
	before, output := slog.Default(), log.Writer()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	log.SetOutput(&logged)
	defer log.SetOutput(output)

	documents := map[domain.Format][][]byte{
		domain.FormatPDF:      {makePDF([]*drawing{secretPage(secret)}, ""), []byte("%PDF-1.7 " + secret)},
		domain.FormatDOCX:     {docx(t, docxP("", secret)), docx(t, "<w:p>"+secret+"&"+secret+";")},
		domain.FormatMarkdown: {[]byte("# " + secret)},
		domain.FormatHTML:     {[]byte("<p>" + secret), []byte(strings.Repeat("<div>", 1000) + secret)},
		domain.FormatText:     {[]byte(secret)},
	}
	for format, h := range packedFormats() {
		good := h.good(t, secret)
		documents[format] = [][]byte{good, h.good(t, secret+"&"+secret+";</"+secret+">"), good[:len(good)/2]}
	}
	read := 0
	for format, contents := range documents {
		for _, content := range contents {
			for _, o := range []textextract.Options{{}, {MaxTextBytes: 5}, {MaxUnpackedBytes: 10}} {
				e := newExtractor(t, o)
				_, inspected := e.Inspect(t.Context(), secret, content)
				text, extracted := e.Extract(t.Context(), format, content)
				for _, err := range []error{inspected, extracted} {
					if err != nil {
						require.NotContains(t, err.Error(), secret, format)
					}
				}
				if strings.Contains(printed(text), secret) {
					read++
				}
			}
		}
	}
	require.GreaterOrEqual(t, read, len(documents), "each format was read")
	require.Empty(t, logged.String())
}

func secretPage(text string) *drawing {
	var page drawing
	page.lines(50, 500, text)
	return &page
}

// Nor could it be: the package has nothing to log or print with.
func TestThePackageHasNoLogger(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, imported := range parsed.Imports {
			require.NotContains(t, []string{`"log"`, `"log/slog"`, `"os"`}, imported.Path.Value, file)
		}
		require.NotContains(t, string(readFile(t, file)), "fmt.Print", file)
	}
}
