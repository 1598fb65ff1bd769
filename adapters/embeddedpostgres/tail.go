package embeddedpostgres

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// tailLines is how many of a program's last lines an error quotes.
const tailLines = 20

// tail passes a program's lines on to a log and keeps the last few.
type tail struct {
	log *slog.Logger

	mu      sync.Mutex
	partial []byte
	lines   []string
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partial = append(t.partial, p...)
	for {
		line, rest, found := bytes.Cut(t.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		t.keep(string(line))
		t.partial = rest
	}
}

func (t *tail) keep(line string) {
	t.log.Debug("postgres: " + line)
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// String returns the last lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(append(t.lines[:len(t.lines):len(t.lines)], string(t.partial)), "\n")
}
