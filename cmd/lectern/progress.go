package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progress shows a person how far things are. What is written to it, such as
// log lines, appears above the bars.
type progress interface {
	io.Writer
	// say writes a line.
	say(format string, args ...any)
	// stage shows how much of something is done. A total of 0 is not known yet.
	stage(name string, done, total int64)
	// close leaves the bars as they are; only lines may follow.
	close()
}

// newProgress shows bars on a terminal, and plain lines elsewhere.
func newProgress(w io.Writer) progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &bars{out: w, shown: map[string]*mpb.Bar{}}
	}
	return &lines{Writer: w, shown: map[string]int64{}}
}

// lines is progress for a file or a pipe.
type lines struct {
	io.Writer
	mu    sync.Mutex
	shown map[string]int64 // tenths of a stage that were told
}

func (l *lines) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.Writer, format+"\n", args...) // nobody left to tell
}

// stage writes a line for each tenth, so that a download doesn't fill a log.
func (l *lines) stage(name string, done, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if total == 0 || done == 0 {
		return
	}
	if tenths := done * 10 / total; l.shown[name] < tenths {
		l.shown[name] = tenths
		l.say("%s: %d/%d", name, done, total)
	}
}

func (l *lines) close() {}

// bars is progress for a terminal. The bars appear with the first stage.
type bars struct {
	out   io.Writer
	mu    sync.Mutex
	all   *mpb.Progress
	shown map[string]*mpb.Bar
}

// Write implements io.Writer.
func (b *bars) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		return b.out.Write(text)
	}
	return b.all.Write(text)
}

func (b *bars) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b, format+"\n", args...) // nobody left to tell
}

func (b *bars) stage(name string, done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = mpb.New(mpb.WithOutput(b.out), mpb.WithWidth(barWidth))
	}
	bar := b.shown[name]
	if bar == nil {
		bar = b.all.AddBar(0, mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.CountersNoUnit("%d/%d")))
		b.shown[name] = bar
	}
	bar.SetTotal(total, total > 0 && done >= total)
	bar.SetCurrent(done)
}

const barWidth = 64

// close draws the bars a last time.
func (b *bars) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		return
	}
	for _, bar := range b.shown {
		bar.Abort(false) // one that is complete stays so
	}
	b.all.Wait()
	b.all = nil
	clear(b.shown)
}
