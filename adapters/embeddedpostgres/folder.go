package embeddedpostgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	markName = "lectern-postgres"
	markText = "This folder holds the database of Lectern's own Postgres. Without this file Lectern refuses it.\n"
)

// folder is a data folder that this process, and no other, uses.
type folder struct {
	dir     string
	account *account
	mark    *os.File
	server  *os.File // locked while any Postgres process lives: they inherit it
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }
func (f *folder) data() string            { return f.path("data") }

// claim makes the folder ours, or says why it can't be. What is refused is not touched.
func claim(ctx context.Context, dir string, version Version) (*folder, error) {
	named := dir
	dir, err := canonical(named)
	if err != nil {
		return nil, fmt.Errorf("find data folder %s: %w: pass another --data-dir", named, err)
	}
	if err := inspect(dir, version); err != nil {
		return nil, err
	}
	f := &folder{dir: dir}
	if f.account, err = accountFor(f.data()); err != nil {
		return nil, err
	}
	if err := f.account.canReach(dir); err != nil {
		return nil, err
	}
	if err := f.open(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

// CheckDir returns the error with which Start would refuse a data folder that is
// not ours, or of another version of Postgres than its default. It changes
// nothing, and says nothing of a folder that is in use.
func CheckDir(dir string) error {
	found, err := canonical(dir)
	if err != nil {
		return fmt.Errorf("find data folder %s: %w: pass another --data-dir", dir, err)
	}
	return inspect(found, V18)
}

// inspect refuses a folder that is not ours, or of another version.
func inspect(dir string, version Version) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open data folder: %w: pass a --data-dir that is yours", err)
	}
	if !exists(filepath.Join(dir, markName)) {
		return &ForeignFolderError{Dir: dir}
	}
	found, err := os.ReadFile(filepath.Join(dir, "data", "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read version of data folder: %w", err)
	}
	if got := strings.TrimSpace(string(found)); got != version.major() {
		return &VersionError{Dir: dir, Found: got, Want: version.major()}
	}
	return nil
}

// open makes the folder if need be, and locks it. The mark is the first file
// that comes to be, so that a folder is never half ours.
func (f *folder) open(ctx context.Context) error {
	if err := makeAll(f.dir, 0o755); err != nil {
		return fmt.Errorf("make data folder: %w: pass a --data-dir that you may write to", err)
	}
	if err := f.account.letIn(f.dir); err != nil {
		return fmt.Errorf("open data folder to user %s: %w", f.account.name, err)
	}
	// A process that was just killed may take a moment to let go of its files.
	patience, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	mark, err := waitLock(patience, f.path(markName))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return &InUseError{Dir: f.dir, PID: readPID(f.path(markName))}
	}
	if err != nil {
		return fmt.Errorf("open data folder %s: %w", f.dir, err)
	}
	f.mark = mark
	return writeMark(mark)
}

func writeMark(mark *os.File) error {
	text := fmt.Sprintf("%spid %d\n", markText, os.Getpid())
	_, err := mark.WriteAt([]byte(text), 0)
	if err := errors.Join(err, mark.Truncate(int64(len(text)))); err != nil {
		return errors.Join(fmt.Errorf("mark data folder: %w", err), unlock(mark))
	}
	return nil
}

// readPID reads who uses a folder; 0 when that can't be known.
func readPID(mark string) int {
	text, err := os.ReadFile(mark)
	if err != nil {
		return 0
	}
	var pid int
	_, _ = fmt.Sscanf(strings.TrimPrefix(string(text), markText), "pid %d", &pid)
	return pid
}

// release gives the folder back. The server lock is closed alone: a process of
// the server's that should still live keeps it.
func (f *folder) release() error {
	var err error
	if f.server != nil {
		err = f.server.Close()
	}
	return errors.Join(err, unlock(f.mark))
}

// password reads the folder's password, or draws one for a folder without data.
func (f *folder) password() (string, error) {
	path := f.path("password")
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read password: %w", err)
	}
	if exists(f.data()) {
		return "", fmt.Errorf("read password: %s is gone, and the data cannot be opened without it: "+
			"put it back, or pass another --data-dir", path)
	}
	password := rand.Text()
	if err := f.writePassword(path, password); err != nil {
		return "", fmt.Errorf("write password: %w", err)
	}
	return password, nil
}

// writePassword gives the file to the server's user: initdb reads it too.
func (f *folder) writePassword(path, password string) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	if err := f.account.own(fresh); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// canonical makes a path absolute and free of links, whether it exists or not.
func canonical(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(abs)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	parent, err := canonical(filepath.Dir(abs))
	return filepath.Join(parent, filepath.Base(abs)), err
}

// makeAll is os.MkdirAll whose new folders have this very mode, whatever the umask.
func makeAll(dir string, mode fs.FileMode) error {
	if exists(dir) {
		return nil
	}
	if err := makeAll(filepath.Dir(dir), mode); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, mode)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// syncDir makes a folder's entries outlive a power cut.
func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
