package stack

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// A Maven artifact that holds redis-server for several systems, and the plugin
// that copies it. Maven knows where they are, and keeps the artifact.
const (
	redisArtifact = "com.github.codemonstur:embedded-redis"
	redisVersion  = "1.4.3"
	mavenCopy     = "org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy"
)

const (
	fetchTimeout = 5 * time.Minute
	lockPoll     = 50 * time.Millisecond
)

// redisProgram finds redis-server: on PATH, in our cache, or by Maven.
func redisProgram(ctx context.Context) (string, error) {
	if program, err := exec.LookPath("redis-server"); err == nil {
		return program, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w: set HOME", err)
	}
	program, err := cachedRedis(ctx, filepath.Join(cache, "lectern", "redis-"+redisVersion))
	if err != nil {
		return "", fmt.Errorf("%w: install redis-server, or a JDK 17 or later and Maven, which fetches one", err)
	}
	return program, nil
}

// cachedRedis returns the program in a folder, and fetches it when it is not
// there yet. Processes that do so at once fetch once.
func cachedRedis(ctx context.Context, dir string) (string, error) {
	entry, err := redisEntry()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, entry)
	return program, fetchOnce(ctx, program, func(ctx context.Context) error { return fetchRedis(ctx, entry, program) })
}

// fetchOnce has a program fetched into the cache unless it is there. Processes
// that do so at once fetch once.
func fetchOnce(ctx context.Context, program string, fetch func(context.Context) error) error {
	if exists(program) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return fmt.Errorf("make cache folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	unlock, err := lockFile(ctx, program+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if exists(program) {
		return nil
	}
	return fetch(ctx)
}

// redisEntry names the program for this system inside of the artifact.
func redisEntry() (string, error) {
	switch system := runtime.GOOS + "/" + runtime.GOARCH; system {
	case "linux/amd64":
		return "redis-server-6.2.6-v5-linux-amd64", nil
	case "linux/arm64":
		return "redis-server-6.2.7-linux-arm64", nil
	case "darwin/amd64":
		return "redis-server-6.2.6-v5-darwin-amd64", nil
	case "darwin/arm64":
		return "redis-server-6.2.6-v5-darwin-arm64", nil
	default:
		return "", fmt.Errorf("%s has no redis-server for %s", redisArtifact, system)
	}
}

// fetchRedis leaves nothing under the final name but the whole program.
func fetchRedis(ctx context.Context, entry, program string) (err error) {
	fresh, err := os.MkdirTemp(filepath.Dir(program), "new-")
	if err != nil {
		return fmt.Errorf("make folder for the download: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("find Maven: %w", err)
	}
	cmd := exec.CommandContext(ctx, maven, "--batch-mode", "--quiet", "--strict-checksums", mavenCopy,
		"-Dartifact="+redisArtifact+":"+redisVersion, "-DoutputDirectory="+fresh)
	cmd.Dir = fresh // away from any pom.xml
	cmd.WaitDelay = stopTimeout
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch %s:%s by Maven: %w; it said:\n%s", redisArtifact, redisVersion, err, said)
	}
	unpacked := filepath.Join(fresh, entry)
	if err := unzip(filepath.Join(fresh, "embedded-redis-"+redisVersion+".jar"), entry, unpacked); err != nil {
		return fmt.Errorf("unpack redis-server: %w", err)
	}
	if err := os.Rename(unpacked, program); err != nil {
		return fmt.Errorf("install redis-server: %w", err)
	}
	return nil
}

// unzip writes one entry of an archive to a file that may be run.
func unzip(archive, entry, to string) (err error) {
	opened, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open archive: %w", err)
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	from, err := opened.Open(entry)
	if err != nil {
		return fmt.Errorf("find entry: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(0o755))
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}

// lockFile waits for other processes. flock could wait by itself, but not be cancelled.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fs.FileMode(0o644))
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	retry := time.NewTicker(lockPoll)
	defer retry.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock file %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for lock file %s: %w", path, ctx.Err()), file.Close())
		case <-retry.C:
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
