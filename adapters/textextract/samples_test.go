package textextract_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lectern/adapters/textextract"
	"lectern/domain"
)

const samples = "../../docs/samples"

var pageMark = regexp.MustCompile(`(?:Стр\.|Page) \d+`)

type heading struct {
	level int
	text  string
}

func TestASamplePDFGivesTheHeadingsItWasMadeFrom(t *testing.T) {
	e := newExtractor(t, textextract.Options{})
	names, err := filepath.Glob(samples + "/*.pdf")
	if err != nil || len(names) != 3 {
		t.Fatalf("samples %v, %v", names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			content := readFile(t, name)
			format, err := e.Inspect(t.Context(), name, content)
			if err != nil || format != domain.FormatPDF {
				t.Fatalf("inspect: %q, %v", format, err)
			}
			text, err := e.Extract(t.Context(), format, content)
			if err != nil {
				t.Fatal(err)
			}
			title, want := sourceHeadings(t, name)
			if text.Title != title {
				t.Errorf("title %q, want %q", text.Title, title)
			}
			compareHeadings(t, relativeHeadings(text, title), want)
			checkNoFurniture(t, text)
		})
	}
}

// sourceHeadings returns the H1 and, with levels from 1, what is below it.
func sourceHeadings(t *testing.T, pdf string) (title string, below []heading) {
	t.Helper()
	source := filepath.Join(samples, "src", strings.TrimSuffix(filepath.Base(pdf), ".pdf")+".md")
	content, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		marks, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case marks == "#":
			title = text
		case marks != "" && strings.Trim(marks, "#") == "":
			below = append(below, heading{len(marks) - 1, text})
		}
	}
	return title, below
}

// relativeHeadings counts levels from the title's, which may be a heading too.
func relativeHeadings(text domain.Text, title string) []heading {
	var found []heading
	top := 0
	for _, b := range text.Blocks {
		switch {
		case b.Kind != domain.BlockHeading:
		case b.Text == title:
			top = b.Level
		default:
			found = append(found, heading{b.Level - top, b.Text})
		}
	}
	return found
}

func compareHeadings(t *testing.T, got, want []heading) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w heading
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("heading %d: %v, want %v", i+1, g, w)
		}
	}
}

// checkNoFurniture: running headers repeat on every page, page marks count.
func checkNoFurniture(t *testing.T, text domain.Text) {
	t.Helper()
	seen := map[string]int{}
	for _, b := range text.Blocks {
		seen[b.Text]++
		if pageMark.MatchString(b.Text) {
			t.Errorf("page %d: a page's number in %q", b.Page, b.Text)
		}
		if b.Page < 1 {
			t.Errorf("no page for %q", b.Text)
		}
	}
	for text, n := range seen {
		if n > 2 {
			t.Errorf("%q is there %d times, as a running line is", text, n)
		}
	}
}
