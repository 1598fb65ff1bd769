package embeddedpostgres_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"lectern/adapters/embeddedpostgres"
)

func TestFolderOfAProcessThatIsJustDyingIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := embeddedpostgres.Claim(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	release, err := embeddedpostgres.HoldMark(dir)
	if err != nil {
		t.Fatal(err)
	}
	released := make(chan error, 1)
	time.AfterFunc(300*time.Millisecond, func() { released <- release() })
	if err := embeddedpostgres.Claim(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
}

func TestForeignFolderIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	version := new(*embeddedpostgres.VersionError)
	foreign := new(*embeddedpostgres.ForeignFolderError)
	for name, c := range map[string]struct {
		files map[string]string
		want  any
	}{
		"somebody's files":      {map[string]string{"thesis.txt": "my life's work"}, foreign},
		"a cluster of others":   {map[string]string{"PG_VERSION": "18\n", "base/1": ""}, foreign},
		"our data without mark": {map[string]string{"data/PG_VERSION": "18\n"}, foreign},
		"an older major":        {map[string]string{"lectern-postgres": "", "data/PG_VERSION": "17\n"}, version},
		"a newer major":         {map[string]string{"lectern-postgres": "", "data/PG_VERSION": "180\n"}, version},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			for file, text := range c.files {
				write(t, filepath.Join(dir, file), text)
			}
			before := snapshot(t, dir)
			checked := embeddedpostgres.CheckDir(dir)
			_, err := embeddedpostgres.Start(t.Context(), options(dir))
			if !errors.As(err, c.want) {
				t.Fatalf("start: %v, want a %T", err, c.want)
			}
			if checked == nil || checked.Error() != err.Error() {
				t.Errorf("check: %v, want what Start says", checked)
			}
			if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--data-dir") {
				t.Errorf("the error %q does not say which folder and what to do", err)
			}
			if after := snapshot(t, dir); !reflect.DeepEqual(before, after) {
				t.Errorf("the folder was %v and is %v", before, after)
			}
		})
	}
}

func TestPathThatCannotBeAFolderIsExplained(t *testing.T) {
	t.Parallel()
	file := folder(t)
	write(t, file, "a file")
	for _, path := range []string{file, filepath.Join(file, "below")} {
		_, err := embeddedpostgres.Start(t.Context(), options(path))
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("start in %s: %v, want an error that names it and says what to do", path, err)
		}
	}
}

func TestLostPasswordIsExplained(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	stop(t, start(t, options(dir)))
	for name, spoil := range map[string]func(path string) error{
		"gone":    os.Remove,
		"another": func(path string) error { return os.WriteFile(path, []byte("guess\n"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "password")
			right, err := os.ReadFile(path)
			must(t, err)
			must(t, spoil(path))
			if _, err := embeddedpostgres.Start(t.Context(), options(dir)); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("start: %v, want an error that names %s", err, path)
			}
			must(t, os.WriteFile(path, right, 0o600))
		})
	}
}

func TestFolderClosedToTheServersUserIsExplained(t *testing.T) {
	t.Parallel()
	closed := filepath.Dir(folder(t))
	target := filepath.Join(closed, "not", "there", "yet")
	stranger := uint32(os.Getuid() + 12345)
	must(t, embeddedpostgres.CanReach(target, stranger, stranger))
	must(t, os.Chmod(closed, 0o700))

	err := embeddedpostgres.CanReach(target, stranger, stranger)
	var unreachable *embeddedpostgres.UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Closed != closed {
		t.Fatalf("reach: %v, want an UnreachableError because of %s", err, closed)
	}
	for _, part := range []string{target, closed, "somebody", "--data-dir"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not mention %s", err, part)
		}
	}
}

// snapshot lists what there is: names, modes, times of change and texts.
func snapshot(t *testing.T, dir string) []string {
	t.Helper()
	var entries []string
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		line := path + " " + info.Mode().String() + " " + info.ModTime().String()
		if !entry.IsDir() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(text)
		}
		entries = append(entries, line)
		return nil
	}))
	return entries
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}
