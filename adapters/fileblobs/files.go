package fileblobs

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"
)

const fileMode = 0o600

// find tells whether there is a file under key; a folder, which is a part of
// other keys, is none.
func (s *Store) find(key string) error {
	info, err := s.root.Stat(key)
	if err == nil && info.IsDir() {
		return fs.ErrNotExist
	}
	return err
}

func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// createTemp opens a new file under a name that no one else has.
func (s *Store) createTemp() (*os.File, string, error) {
	name := path.Join(tempDir, rand.Text())
	file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	return file, name, err
}

// makeDirs creates a folder and those above it, each for good.
func (s *Store) makeDirs(dir string) error {
	if dir == "." {
		return nil
	}
	if err := s.makeDirs(path.Dir(dir)); err != nil {
		return err
	}
	err := s.root.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.syncDir(path.Dir(dir))
}

// syncDir makes the entries of a folder survive a crash.
func (s *Store) syncDir(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
