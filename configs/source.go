package configs

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var builtin embed.FS

// Embedded is the profile that needs nothing beforehand: the default.
const Embedded = "embedded"

// Names returns the names of the built-in configs.
func Names() []string {
	files, err := fs.Glob(builtin, "*.yaml")
	if err != nil { // the pattern is right
		return nil
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], ".yaml")
	}
	return files
}

// source is a config as it was written.
type source struct {
	name   string
	values map[string]any
	keys   []string          // of every mapping, outer before inner, as written
	lines  map[string]string // key to "file:line"
}

// readSource reads a built-in config or a file.
func readSource(name string) (source, error) {
	if name == "" {
		name = Embedded
	}
	file := name + ".yaml"
	text, err := builtin.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || strings.ContainsRune(name, filepath.Separator) {
		file = name
		text, err = os.ReadFile(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return source{}, fmt.Errorf("read config %s: there is no such file, and the built-in configs are %s",
			name, strings.Join(Names(), ", "))
	}
	if err != nil {
		return source{}, fmt.Errorf("read config: %w", err)
	}
	return parse(file, text)
}

func parse(file string, text []byte) (source, error) {
	s := source{name: file, lines: map[string]string{}}
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return s, nil // empty: the defaults
	} else if err != nil {
		return s, fmt.Errorf("read config %s:%d: %s", file, brokenLine(text), complaint(err))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return s, fmt.Errorf("read config %s: it has more than one document: remove the second", file)
	}
	if root := document.Content[0]; root.Kind != yaml.MappingNode {
		return s, fmt.Errorf("read config %s:%d: must be a section with keys, as in listen: 127.0.0.1:8080", file, root.Line)
	}
	// Also finds a key that is given twice.
	if err := document.Decode(&s.values); err != nil {
		return s, fmt.Errorf("read config %s: %w", file, err)
	}
	s.locate("", document.Content[0])
	return s, nil
}

// brokenLine is where a text that is no YAML stops being some: the line after the
// longest beginning that is. The library names where the list or section begins
// that is broken, and not always that.
func brokenLine(text []byte) int {
	lines := bytes.SplitAfter(text, []byte("\n"))
	end := len(text)
	for n := len(lines) - 1; n > 0; n-- {
		end -= len(lines[n])
		if yaml.Unmarshal(text[:end], new(yaml.Node)) == nil {
			return n + 1
		}
	}
	return 1
}

// complaint is what the library says, without where.
func complaint(err error) string {
	return regexp.MustCompile(`^yaml: (line \d+: )?`).ReplaceAllString(err.Error(), "")
}

// locate records the keys of a mapping and of those within it. What is in a list
// has its number for a key.
func (s *source) locate(section string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			s.record(join(section, n.Content[i].Value), n.Content[i].Line, n.Content[i+1])
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			s.record(join(section, strconv.Itoa(i)), item.Line, item)
		}
	default:
	}
}

func (s *source) record(key string, line int, value *yaml.Node) {
	s.keys = append(s.keys, key)
	s.lines[key] = fmt.Sprintf("%s:%d", s.name, line)
	s.locate(key, value)
}
