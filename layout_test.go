// Package lectern_test holds what must be true of the repository as a whole
// and that the linters can't say. It tests no behaviour.
package lectern_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// depguard sees to an adapter's own files; only here can "its own adapter, no
// other" be said of the tests of every adapter, those to come included.
func TestNoAdapterImportsAnother(t *testing.T) {
	t.Parallel()
	packages := listPackages(t, "./adapters/...")
	if len(packages) == 0 {
		t.Fatal("go list found no adapters")
	}
	for _, p := range packages {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if other := adapterOf(imported); other != "" && other != adapterOf(p.ImportPath) {
				t.Errorf("%s imports the adapter %s", p.ImportPath, other)
			}
		}
	}
}

func listPackages(t *testing.T, pattern string) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json", pattern).Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("read packages: %v", err)
		}
		packages = append(packages, p)
	}
}

// adapterOf returns the folder under adapters that a package lies in, or "".
func adapterOf(importPath string) string {
	rest, ok := strings.CutPrefix(importPath, "lectern/adapters/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}
