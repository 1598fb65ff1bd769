package embeddedpostgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// Where root keeps things: the user who runs the server can reach these.
const (
	rootDataDir  = "/var/lib/lectern"
	rootCacheDir = "/var/cache/lectern"
)

// DefaultDir is the data folder for a user who names none: /var/lib/lectern for
// root, otherwise the folder where the system keeps a user's data.
func DefaultDir() (string, error) {
	if os.Geteuid() == 0 {
		return rootDataDir, nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lectern"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find home folder: %w: set HOME or pass --data-dir", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "lectern"), nil
	}
	return filepath.Join(home, ".local", "share", "lectern"), nil
}

// account is the user who runs the server in our stead; nil means ourselves.
type account struct {
	name     string
	uid, gid uint32
}

// accountFor finds who runs a server on this data: its owner, so that the data
// stays usable when the machine's users change.
func accountFor(data string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(data); err == nil {
		if uid, gid := ownerOf(info); uid != 0 {
			return &account{name: userName(uid), uid: uid, gid: gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if found, err := user.Lookup(name); err == nil {
			return newAccount(found)
		}
	}
	return nil, errors.New("find a user to run Postgres, which may not run as root: " +
		"there is neither postgres nor nobody: add one, or run as an ordinary user")
}

func newAccount(u *user.User) (*account, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read user id of %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read group id of %s: %w", u.Username, err)
	}
	return &account{name: u.Username, uid: uint32(uid), gid: uint32(gid)}, nil
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(id); err == nil {
		return found.Username
	}
	return id
}

// own gives a file to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// letIn lets the account enter a folder, not list it.
func (a *account) letIn(dir string) error {
	info, err := os.Stat(dir)
	if a == nil || err != nil {
		return err
	}
	return os.Chmod(dir, info.Mode().Perm()|0o111)
}

// canReach fails with an *UnreachableError when the account cannot enter one of
// the folders above a target. Those that do not exist yet don't count.
func (a *account) canReach(target string) error {
	if a == nil {
		return nil
	}
	for at := filepath.Dir(target); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look at folder: %w", err)
		}
		if err == nil && !a.mayEnter(info) {
			return &UnreachableError{Target: target, Closed: at, Mode: info.Mode(), User: a.name}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

func (a *account) mayEnter(info fs.FileInfo) bool {
	enter := fs.FileMode(0o001)
	switch uid, gid := ownerOf(info); {
	case uid == a.uid:
		enter = 0o100
	case gid == a.gid:
		enter = 0o010
	}
	return info.Mode()&enter != 0
}

// ownerOf is who owns a file: root where the system does not say.
func ownerOf(info fs.FileInfo) (uid, gid uint32) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid, stat.Gid
	}
	return 0, 0
}
