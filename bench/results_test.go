package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/bench/compare"
)

const kept = "results/latest"

// What README shows is what make bench has written last, and so are table and plot.
func TestReadmeShowsTheResultsThatAreKept(t *testing.T) {
	t.Parallel()
	rows, err := readRows(kept + ".json")
	require.NoError(t, err)
	table, err := compare.Markdown(rows)
	require.NoError(t, err)
	about := readAbout(kept + ".md")
	require.NotEmpty(t, about)
	plot, err := compare.Plot(rows, about)
	require.NoError(t, err)
	require.Contains(t, content("../README.md"), strings.TrimSpace(readmeBegin+table+readmeEnd))
	require.Equal(t, strings.TrimSpace(page(about, table)), content(kept+".md"))
	require.Equal(t, strings.TrimSpace(plot), content(kept+".svg"))
}

func TestANarrowedRunKeepsTheOtherRows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	readme := filepath.Join(dir, "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("before\n"+readmeBegin+"old\n"+readmeEnd+"after\n"), 0o600))
	o := options{out: filepath.Join(dir, "latest.json"), readme: readme}
	result := func(name string, ratio float64) compare.Result {
		return compare.Result{Name: name, Unit: "µs", Against: "peer", Ratio: ratio, Goal: compare.AtMost(1)}
	}
	require.NoError(t, writeResults(o, []compare.Result{result("a", 1), result("b", 2)}, []string{"Postgres 1", "Kafka 1"}))
	o.narrowed = true
	require.NoError(t, writeResults(o, []compare.Result{result("b", 0.5), result("c", 3)}, []string{"Postgres 2"}))

	rows, err := readRows(o.out)
	require.NoError(t, err)
	names, ratios := []string{}, []float64{}
	for _, r := range rows {
		names, ratios = append(names, r.Name), append(ratios, r.Ratio)
	}
	require.Equal(t, []string{"a", "b", "c"}, names)
	require.Equal(t, []float64{1, 0.5, 3}, ratios)
	about := readAbout(filepath.Join(dir, "latest.md"))
	require.Subset(t, about, []string{"Postgres 2", "Kafka 1"})
	require.NotContains(t, about, "Postgres 1")
	require.Regexp(t, `(?s)^before\n.*\| b \|.*\nafter\n$`, string(must(os.ReadFile(readme))))

	o.narrowed = false
	require.NoError(t, writeResults(o, []compare.Result{result("c", 1)}, []string{"Postgres 3"}))
	rows, err = readRows(o.out)
	require.NoError(t, err)
	require.Len(t, rows, 1, "a whole run leaves nothing of the one before")
}

func must(text []byte, err error) []byte {
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

func TestReadmeWithoutMarksIsAnError(t *testing.T) {
	t.Parallel()
	readme := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("nothing"), 0o600))
	require.ErrorContains(t, rewriteReadme(readme, ""), "lacks the lines")
}

func TestTheMachineIsDescribed(t *testing.T) {
	t.Parallel()
	about := strings.Join(machine(), "; ")
	require.Regexp(t, `\d+ CPUs, (\d+ GiB|an unknown amount) of memory`, about)
	require.Contains(t, about, "go1.")
}
