// Package fileblobs keeps documents' bytes as files in one folder, whole or
// not at all: what Put returned from survives a crash of the machine.
//
// Processes may share the folder, on a disk that they share. It does not encrypt, compress,
// deduplicate, or share a folder between machines.
package fileblobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"time"

	"lectern/ports"
)

var _ ports.Blobs = (*Store)(nil)

const (
	tempDir  = ".incoming" // no key can name it: segments begin with a letter or digit
	dirMode  = 0o700
	copySize = 256 << 10
)

// Store is a folder of blobs. It is safe for concurrent use; of two Puts under
// one key the later wins.
type Store struct {
	root *os.Root // refuses to leave the folder, symbolic links included
}

// staleAfter is far longer than a document takes to be written.
const staleAfter = time.Hour

// New opens the store in dir, creating the folder when it is not there, and
// removes what a crash left half written an hour ago or before: what is newer,
// another process may be writing. Close it after use.
func New(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("create the documents' folder %s (its parent must be writable): %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the documents' folder %s: %w", dir, err)
	}
	s := &Store{root: root}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the documents' folder %s (must be writable): %w", dir, err), root.Close())
	}
	return s, nil
}

// prepare makes the folder for what is being written, and tidies it.
func (s *Store) prepare() error {
	if err := s.root.Mkdir(tempDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	left, err := fs.ReadDir(s.root.FS(), tempDir)
	if err != nil {
		return err
	}
	for _, file := range left {
		info, err := file.Info()
		if err == nil && time.Since(info.ModTime()) > staleAfter {
			err = s.root.Remove(path.Join(tempDir, file.Name()))
		}
		if err != nil && !isAbsent(err) { // another process may tidy too
			return err
		}
	}
	return s.syncDir(".")
}

// Close releases the folder.
func (s *Store) Close() error {
	if err := s.root.Close(); err != nil {
		return fmt.Errorf("close the documents' folder: %w", err)
	}
	return nil
}

// Put implements [ports.Blobs].
func (s *Store) Put(ctx context.Context, key string, r io.Reader, limit int64) (int64, string, error) {
	if err := ports.CheckKey(key); err != nil {
		return 0, "", err
	}
	temp, size, sum, err := s.receive(&contextReader{ctx, r}, limit)
	if err == nil {
		err = s.settle(temp, key)
	}
	if err != nil {
		return 0, "", fmt.Errorf("store document %s: %w", key, err)
	}
	return size, sum, nil
}

// receive writes what r yields to a file of its own and syncs it; when it
// fails, no file is left.
func (s *Store) receive(r io.Reader, limit int64) (temp string, size int64, sum string, err error) {
	file, temp, err := s.createTemp()
	if err != nil {
		return "", 0, "", err
	}
	hash := sha256.New()
	size, err = io.CopyBuffer(io.MultiWriter(file, hash), io.LimitReader(r, min(limit, math.MaxInt64-1)+1), make([]byte, copySize))
	if err == nil && size > limit {
		err = ports.TooLarge(limit)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", 0, "", errors.Join(err, s.root.Remove(temp))
	}
	return temp, size, hex.EncodeToString(hash.Sum(nil)), nil
}

// settle gives a received file its place, for good.
func (s *Store) settle(temp, key string) error {
	err := s.makeDirs(path.Dir(key))
	if err == nil {
		err = s.root.Rename(temp, key)
	}
	if err != nil {
		return errors.Join(err, s.root.Remove(temp))
	}
	return s.syncDir(path.Dir(key))
}

// Get implements [ports.Blobs].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ports.CheckKey(key); err != nil {
		return nil, err
	}
	file, err := s.open(key)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(&contextReader{ctx, file})
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read document %s: %w", key, err)
	}
	return content, nil
}

func (s *Store) open(key string) (*os.File, error) {
	err := s.find(key)
	if isAbsent(err) {
		return nil, ports.NoSuchKey(key, err)
	}
	if err != nil {
		return nil, fmt.Errorf("find document %s: %w", key, err)
	}
	file, err := s.root.Open(key)
	if err != nil {
		return nil, fmt.Errorf("open document %s: %w", key, err)
	}
	return file, nil
}

// Delete implements [ports.Blobs].
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := errors.Join(ports.CheckKey(key), context.Cause(ctx)); err != nil {
		return err
	}
	err := s.find(key)
	if err == nil {
		err = s.root.Remove(key)
	}
	if isAbsent(err) {
		return nil
	}
	if err == nil {
		err = s.syncDir(path.Dir(key))
	}
	if err != nil {
		return fmt.Errorf("delete document %s: %w", key, err)
	}
	return nil
}

// contextReader stops reading once its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
