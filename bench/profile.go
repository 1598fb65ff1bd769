package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// profiler is a file that the measured program has beside its own: it writes a
// profile from one signal to another. The program itself offers none.
const profiler = `package main

import (
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

func init() {
	path, signals := os.Getenv("` + profileVariable + `"), make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for <-signals != syscall.SIGUSR1 {
		}
		file, err := os.Create(path + ".part")
		if err == nil {
			err = pprof.StartCPUProfile(file)
		}
		<-signals
		pprof.StopCPUProfile()
		if err == nil && file.Close() == nil {
			_ = os.Rename(file.Name(), path)
		}
	}()
}
`

const (
	profileVariable = "BENCH_CPU_PROFILE"
	profileLimit    = 10 * time.Second // for a profile to be written
	profilePoll     = 10 * time.Millisecond
)

// buildProfiled makes the program with the profiler in it.
func buildProfiled(ctx context.Context, dir string) (string, error) {
	place, err := filepath.Abs("../cmd/lectern/profiler.go")
	if err != nil {
		return "", fmt.Errorf("find cmd/lectern: %w", err)
	}
	file, overlay := filepath.Join(dir, "profiler.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {place: file}})
	if err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	if err := errors.Join(os.WriteFile(file, []byte(profiler), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return "", fmt.Errorf("write profiler: %w", err)
	}
	return buildProgram(ctx, dir, "-overlay", overlay)
}

// profiled writes what took most of the program's CPU time while something was
// done, as text.
func (p *pipeline) profiled(ctx context.Context, to string, do func() error) error {
	if err := p.process.Process.Signal(syscall.SIGUSR1); err != nil {
		return fmt.Errorf("begin profile: %w", err)
	}
	if err := do(); err != nil {
		return err
	}
	if err := p.process.Process.Signal(syscall.SIGUSR2); err != nil {
		return fmt.Errorf("end profile: %w", err)
	}
	for end := time.Now().Add(profileLimit); ; sleepUntil(ctx, time.Now().Add(profilePoll)) {
		_, err := os.Stat(p.profile())
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("wait for the profile: %w", err)
		}
	}
	flat, err := p.topTen(ctx)
	if err != nil {
		return err
	}
	ours, err := p.topTen(ctx, "-cum", "-show=^lectern/")
	if err != nil {
		return err
	}
	text := fmt.Sprintf("The CPU time of `lectern serve` while %d courses are made from a title alone; its Postgres is another process.\n\n%s\n"+
		"Of functions of ours, with all that they call:\n\n%s", crowd, flat, ours)
	if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the profile: %w", err)
	}
	return nil
}

// topTen is pprof's table, without the lines that name files.
func (p *pipeline) topTen(ctx context.Context, flags ...string) (string, error) {
	args := append(append([]string{"tool", "pprof", "-top", "-nodecount=10"}, flags...), p.process.Path, p.profile())
	table, err := exec.CommandContext(ctx, "go", args...).Output()
	if err != nil {
		return "", fmt.Errorf("read the profile: %w", err)
	}
	_, rest, _ := strings.Cut(string(table), "\nDuration:")
	return "Duration:" + rest, nil
}

func (p *pipeline) profile() string { return filepath.Join(p.dir, "cpu.pprof") }
