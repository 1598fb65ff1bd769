package embeddedpostgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// Version is a release of Postgres that Start can fetch.
type Version string

// The versions that Lectern is tested on.
const (
	V15 = Version(embedded.V15)
	V18 = Version(embedded.V18)
)

// major is what PG_VERSION says in a data folder of the version.
func (v Version) major() string {
	major, _, _ := strings.Cut(string(v), ".")
	return major
}

// ensureBinaries returns the folder of the server's programs, which it fetches
// when this machine has none yet. Processes that do so at once fetch once.
func ensureBinaries(ctx context.Context, o Options, a *account) (string, error) {
	cache, err := cacheDir(o.CacheDir)
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, fmt.Sprintf("postgres-%s-%s-%s", o.Version, runtime.GOOS, runtime.GOARCH))
	if err := a.canReach(home); err != nil {
		return "", err
	}
	if !exists(home) {
		if err := install(ctx, home, o); err != nil {
			return "", err
		}
	}
	return filepath.Join(home, "bin"), nil
}

func cacheDir(dir string) (string, error) {
	switch {
	case dir != "":
		return canonical(dir)
	case os.Geteuid() == 0:
		return canonical(rootCacheDir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w: set HOME", err)
	}
	return canonical(filepath.Join(cache, "lectern"))
}

// install fetches into a folder beside and renames it, so that what stands
// under the final name is whole.
func install(ctx context.Context, home string, o Options) error {
	if err := makeAll(filepath.Dir(home), 0o755); err != nil {
		return fmt.Errorf("make cache folder: %w", err)
	}
	o.Progress(Progress{Step: StepDownload})
	lock, err := waitLock(ctx, home+".lock")
	if err != nil {
		return fmt.Errorf("wait for another process that fetches Postgres: %w", err)
	}
	defer func() { _ = unlock(lock) }()
	if exists(home) {
		return nil
	}
	fresh := home + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove half-done download: %w", err)
	}
	if err := fetch(ctx, fresh, o); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	if err := openToAll(fresh); err != nil {
		return fmt.Errorf("set modes of Postgres binaries: %w", err)
	}
	if err := os.Rename(fresh, home); err != nil {
		return fmt.Errorf("install Postgres binaries: %w", err)
	}
	return nil
}

// openToAll lets every user read the tree and run its programs, whatever the
// umask was: for root another user runs the server.
func openToAll(tree string) error {
	return filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}
