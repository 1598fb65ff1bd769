package embeddedpostgres

import (
	"cmp"
	"context"
	"path/filepath"
	"syscall"
)

// WithPorts has the server try these ports before free ones.
func (o Options) WithPorts(ports ...int) Options {
	o.freePort = func(ctx context.Context) (int, error) {
		if len(ports) == 0 {
			return freePort(ctx)
		}
		port := ports[0]
		ports = ports[1:]
		return port, nil
	}
	return o
}

// CopyMark gives another descriptor of the locked mark, such as a child has that
// was forked and has not yet executed its program.
func (s *Server) CopyMark() (fd int, err error) { return syscall.Dup(int(s.folder.mark.Fd())) }

// HoldMark locks a data folder as a program does that uses it, until released.
func HoldMark(dir string) (release func() error, err error) {
	mark, err := tryLock(filepath.Join(dir, markName))
	return func() error { return unlock(mark) }, err
}

// Claim takes a data folder as Start does, and gives it back.
func Claim(ctx context.Context, dir string) error {
	f, err := claim(ctx, dir, V18)
	if err != nil {
		return err
	}
	return f.release()
}

// EnsureBinaries fetches, V18 unless told, from a repository of the test's.
func EnsureBinaries(ctx context.Context, o Options, repository string) (home string, err error) {
	o.repository = repository
	o.Version = cmp.Or(o.Version, V18)
	o.Progress = oneAtATime(o.Progress)
	bin, err := ensureBinaries(ctx, o, nil)
	return filepath.Dir(bin), err
}

// LibraryRepository is where binaries come from outside of tests.
func LibraryRepository() (string, error) {
	address, err := repositoryURL("")
	if err != nil {
		return "", err
	}
	return address.String(), nil
}

// CanReach asks whether a user of this id could enter a folder.
func CanReach(dir string, uid, gid uint32) error {
	return (&account{name: "somebody", uid: uid, gid: gid}).canReach(dir)
}
