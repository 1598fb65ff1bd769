package embeddedpostgres

import (
	"fmt"
	"io/fs"
)

// InUseError says that another process uses the data folder.
type InUseError struct {
	Dir string
	// PID is that process, or 0 when it has not said so yet.
	PID int
}

func (e *InUseError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("open data folder %s: %s is using it: pass --server URL to talk to that one, "+
		"or another --data-dir to run beside it", e.Dir, who)
}

// ForeignFolderError says that a folder holds something that is not ours. It
// was left as it is.
type ForeignFolderError struct{ Dir string }

func (e *ForeignFolderError) Error() string {
	return fmt.Sprintf("open data folder %s: it is not empty and not Lectern's (it has no file %s), "+
		"so nothing in it was touched: pass a --data-dir that is empty or does not exist yet", e.Dir, markName)
}

// VersionError says that a folder is ours, but of another major version of
// Postgres. It was left as it is.
type VersionError struct {
	Dir         string
	Found, Want string
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("open data folder %s: it was written by Postgres %s, and this program runs Postgres %s, "+
		"so nothing in it was touched: use the Lectern that wrote it, or pass another --data-dir", e.Dir, e.Found, e.Want)
}

// UnreachableError says that the user who has to run the server, because we are
// root, cannot reach a folder.
type UnreachableError struct {
	Target string
	// Closed is the folder on the way to the target that keeps the user out.
	Closed string
	Mode   fs.FileMode
	User   string
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("open folder %s: Postgres may not run as root, so the user %q runs it, who cannot enter %s (%s): "+
		"pass a --data-dir that every user can reach, such as %s, or run as an ordinary user",
		e.Target, e.User, e.Closed, e.Mode, rootDataDir)
}
