package embeddedpostgres_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// No process of the server's lives any more once its lock can be had.
func TestServerStopsWhenItsProgramIsKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	program, _ := helper(t, dir, "postgres://")
	lock, err := os.Open(filepath.Join(dir, "server.lock"))
	must(t, err)
	defer func() { must(t, lock.Close()) }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		t.Fatal("the running server does not hold its lock")
	}
	kill(program)
	must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
}
