package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lectern/bench/compare"
)

// writeResults keeps what was measured: as JSON in the file asked for, and beside
// it as a table and as a plot, both with what the numbers depend on. A run of
// some benches leaves the others' rows as they are.
func writeResults(o options, results []compare.Result, settings []string) error {
	rows, about := compare.Rows(results), append(machine(), settings...)
	base := beside(o.out, "")
	if o.narrowed {
		old, err := readRows(o.out)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		rows = compare.Merge(old, rows)
		about = union(about, readAbout(base+".md"))
	}
	var text bytes.Buffer
	if err := compare.WriteJSON(&text, rows); err != nil {
		return err
	}
	table, err := compare.Markdown(rows)
	if err != nil {
		return err
	}
	plot, err := compare.Plot(rows, about)
	if err != nil {
		return err
	}
	for path, content := range map[string]string{
		o.out:         text.String(),
		base + ".md":  page(about, table),
		base + ".svg": plot,
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	if o.readme != "" {
		return rewriteReadme(o.readme, table)
	}
	return nil
}

func readRows(path string) ([]compare.Row, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	var rows []compare.Row
	if err := json.Unmarshal(content, &rows); err != nil {
		return nil, fmt.Errorf("read results of %s: %w", path, err)
	}
	return rows, nil
}

const aboutMark = "- "

func page(about []string, table string) string {
	return "# What `make bench` measured\n\n" + aboutMark + strings.Join(about, "\n"+aboutMark) + "\n\n" + table
}

// readAbout reads what a page says the numbers depend on; nothing if there is none.
func readAbout(path string) []string {
	var about []string
	for line := range strings.Lines(content(path)) {
		if said, ok := strings.CutPrefix(strings.TrimSpace(line), aboutMark); ok {
			about = append(about, said)
		}
	}
	return about
}

// What stands between these in README is written by the bench.
const (
	readmeBegin = "<!-- make bench writes from here -->\n"
	readmeEnd   = "<!-- to here -->\n"
)

func rewriteReadme(path, table string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read README: %w", err)
	}
	before, rest, begins := strings.Cut(string(content), readmeBegin)
	_, after, ends := strings.Cut(rest, readmeEnd)
	if !begins || !ends {
		return fmt.Errorf("%s lacks the lines %q and %q, between which the results stand", path, readmeBegin, readmeEnd)
	}
	if err := os.WriteFile(path, []byte(before+readmeBegin+table+readmeEnd+after), 0o644); err != nil {
		return fmt.Errorf("write README: %w", err)
	}
	return nil
}

// beside is a file with the name of another, but for its end; "" beside none.
func beside(file, end string) string {
	if file == "" {
		return ""
	}
	return strings.TrimSuffix(file, filepath.Ext(file)) + end
}
