package lectern_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trapsDocument has a section with a table, a row for each trap, in whose last
// column are the names of what catches it, of these forms:
//
//	`redisbroker.TestX`                a test of a package
//	`redisbroker.TestConformance/X`    a test of the brokers' suite that this broker passes
//	`golangci: X`                      a rule of the linter
const (
	trapsDocument = "docs/adding-a-broker.md"
	trapsHeading  = "## Traps and their tests\n"
)

// Nor is there a test in an adapter's traps_test.go that the table doesn't name.
func TestTheTableOfTrapsNamesTheirTests(t *testing.T) {
	t.Parallel()
	named := trapTests(t)
	for _, name := range named {
		assert.True(t, isTrapTest(t, name), "%s names %s, which does not exist", trapsDocument, name)
	}
	files, err := filepath.Glob("adapters/*/traps_test.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		for _, test := range testsOf(t, file) {
			assert.Contains(t, named, filepath.Base(filepath.Dir(file))+"."+test, "the table in %s", trapsDocument)
		}
	}
}

func trapTests(t *testing.T) []string {
	t.Helper()
	_, section, found := strings.Cut(read(t, trapsDocument), trapsHeading)
	require.True(t, found, "%s has no section %q", trapsDocument, trapsHeading)
	section, _, _ = strings.Cut(section, "\n## ")
	_, rows, found := strings.Cut(section, "| --- | --- |\n")
	require.True(t, found, "%s has no table", trapsHeading)
	var named []string
	for row := range strings.Lines(rows) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
		if len(cells) != 2 {
			break
		}
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1)
		require.NotEmpty(t, names, "nothing catches %s", cells[0])
		for _, name := range names {
			named = append(named, name[1])
		}
	}
	require.NotEmpty(t, named)
	return named
}

func isTrapTest(t *testing.T, name string) bool {
	t.Helper()
	if rule, ok := strings.CutPrefix(name, "golangci: "); ok {
		return strings.Contains(read(t, ".golangci.yaml"), rule)
	}
	pkg, test, _ := strings.Cut(name, ".")
	test, inSuite, ofSuite := strings.Cut(test, "/")
	if ofSuite {
		kind := strings.TrimSuffix(pkg, "broker")
		excepted := strings.Contains(read(t, "docs/brokers.md"), "| "+kind+" | `"+inSuite+"` |")
		if excepted || !strings.Contains(read(t, "ports/portstest/broker.go"), `{"`+inSuite+`", `) {
			return false
		}
	}
	for _, parent := range []string{"adapters", "cmd", "."} {
		files, err := filepath.Glob(filepath.Join(parent, pkg, "*_test.go"))
		require.NoError(t, err)
		if slices.ContainsFunc(files, func(file string) bool { return slices.Contains(testsOf(t, file), test) }) {
			return true
		}
	}
	return false
}

func testsOf(t *testing.T, file string) []string {
	t.Helper()
	var tests []string
	for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(read(t, file), -1) {
		tests = append(tests, found[1])
	}
	return tests
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}
