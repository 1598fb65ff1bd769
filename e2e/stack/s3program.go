package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The S3 server is a program written in Go, which the go command builds. It is
// no tool of go.mod, as NATS is: its many dependencies would choose the versions
// of ours.
const (
	s3Module  = "github.com/versity/versitygw/cmd/versitygw"
	s3Version = "v1.8.0"
)

// s3Program finds versitygw in our cache, and builds it when it is not there
// yet. Processes that do so at once build once.
func s3Program(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w: set HOME", err)
	}
	dir := filepath.Join(cache, "lectern", "versitygw-"+s3Version)
	program := filepath.Join(dir, filepath.Base(s3Module))
	return program, fetchOnce(ctx, program, func(ctx context.Context) error { return buildS3(ctx, dir) })
}

// buildS3 has the go command install the program, which it does as a whole.
func buildS3(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "install", s3Module+"@"+s3Version)
	cmd.Dir = dir // away from any go.work
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	cmd.WaitDelay = stopTimeout
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build it by `go install %s@%s`: %w; it said:\n%s", s3Module, s3Version, err, said)
	}
	return nil
}
