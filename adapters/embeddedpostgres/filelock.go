package embeddedpostgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockPoll is how often a waiting lock is tried: flock can wait by itself, but
// not be cancelled.
const lockPoll = 50 * time.Millisecond

// lockPatience is how long a data folder may stay locked before it counts as in
// use.
const lockPatience = 2 * time.Second

var errLocked = errors.New("locked by another process")

// tryLock opens, and makes if need be, a file and locks it; errLocked when
// somebody else has. The lock lasts until every process that inherited the file
// has closed it or died, so none is ever stale.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, fmt.Errorf("lock file %s: %w", path, err)
}

// unlock gives the lock up at once, and not only when a child of ours that was
// just forked has closed its copy of the file, too.
func unlock(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}

// waitLock is tryLock that waits for the file to become free.
func waitLock(ctx context.Context, path string) (*os.File, error) {
	retry := time.NewTicker(lockPoll)
	defer retry.Stop()
	for {
		file, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for lock file %s: %w", path, ctx.Err())
		case <-retry.C:
		}
	}
}
