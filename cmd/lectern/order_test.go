package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What can be wrong is found before anything runs: no data folder is made.
func TestAllThatIsWrongWithAnOrderIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	good := file("good.md", []byte("# Bees\n\nBees live in hives.\n"))
	data := filepath.Join(dir, "data")

	got := lectern(t, []string{"LECTERN_DOCUMENTS__MAX_BYTES=1024"}, "generate", "--data-dir", data,
		"--title", " ", "--style", "angry", "--language", "klingonese", "--lessons", "3",
		good, filepath.Join(dir, "none.pdf"), dir, file("empty.txt", nil), file("big.txt", bytes.Repeat([]byte("x"), 2048)),
		file("fake.pdf", []byte("this is no PDF")), file("tune.mp3", []byte("ID3\x04\x00\x00\x00\x00\x00\x00")))

	require.Equal(t, exitInput, got.code)
	require.Empty(t, got.stdout)
	lines := strings.Split(strings.TrimRight(got.stderr, "\n"), "\n")
	require.Equal(t, "lectern: nothing was made; mend this first:", lines[0])
	for i, want := range []string{
		"--title: must not be empty: say what the course is about",
		`--language: "klingonese" is not a language tag; use one like "en" or "ru"`,
		`--style: "angry" is not a style; the styles are [academic `,
		"--lessons: must be 10 to 200, or 0 to leave it to the generator; is 3",
		filepath.Join(dir, "none.pdf") + ": there is no such file",
		dir + ": is a folder: give the files in it",
		filepath.Join(dir, "empty.txt") + ": is empty",
		filepath.Join(dir, "big.txt") + ": has 0.0 MiB, the limit is 0.0: split it, or leave out its pictures",
		filepath.Join(dir, "fake.pdf") + ": ",
		filepath.Join(dir, "tune.mp3") + ": ",
	} {
		require.Truef(t, strings.HasPrefix(lines[i+1], "  "+want), "line %d is %q, not %q", i+1, lines[i+1], want)
	}
	require.Len(t, lines, 11)
	require.NotContains(t, got.stderr, good)
	require.NoDirExists(t, data)
}

func TestAnOutputIsWrittenWhole(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "course.md")
	require.NoError(t, os.WriteFile(file, []byte("an older one, and longer"), 0o600))
	require.NoError(t, writeWhole(file, []byte("new")))

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "new", string(text))
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing but the file remains")
}
