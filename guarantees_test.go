package lectern_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const guarantees = "docs/guarantees.md"

// Whoever renames a test, or takes one away, changes what is guaranteed.
func TestEveryGuaranteeNamesTestsThatThereAre(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(guarantees)
	if err != nil {
		t.Fatal(err)
	}
	tests := findTests(t)
	lines := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || len(cells) != 2 || strings.TrimSpace(cells[0]) == "guaranteed" || strings.HasPrefix(cells[0], " ---") {
			continue
		}
		lines++
		proofs := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1)
		if len(proofs) == 0 {
			t.Errorf("%s: nothing proves %q", guarantees, cells[0])
		}
		for _, proof := range proofs {
			if !tests.has(proof[1]) {
				t.Errorf("%s: there is no test %s, which is said to prove %q", guarantees, proof[1], cells[0])
			}
		}
	}
	if lines < 30 {
		t.Errorf("%s: only %d guarantees were found", guarantees, lines)
	}
}

// tests are the sources of all that `make test` runs, by the names of the tests
// in them.
type tests map[string]string

// has tells whether there is a test, or a part of one by the name it has in a
// table there.
func (t tests) has(name string) bool {
	whole, part, divided := strings.Cut(name, "/")
	source, found := t[whole]
	return found && (!divided || strings.Contains(source, `{"`+part+`",`) || strings.Contains(source, `"`+part+`":`) ||
		strings.Contains(source, `t.Run("`+part+`",`))
}

func findTests(t *testing.T) tests {
	t.Helper()
	found := tests{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T`)
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		suite := strings.HasPrefix(path, filepath.Join("ports", "portstest"))
		if err != nil || !strings.HasSuffix(path, "_test.go") && (!suite || !strings.HasSuffix(path, ".go")) {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.HasPrefix(string(text), "//go:build") {
			return err // is not run everywhere
		}
		for _, match := range function.FindAllStringSubmatch(string(text), -1) {
			found[match[1]] += string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
