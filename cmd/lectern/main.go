// Command lectern turns a title and documents into a course. See the README,
// or `lectern help`.
//
// This package wires the parts together and talks to the person at the
// terminal. It holds no rule about courses: those are in domain and app.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is what `git describe` said; the linker sets it.
var version string

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal stops in order; from then on a second ends at once.
	context.AfterFunc(ctx, release)
	os.Exit(run(ctx, &program{
		name: os.Args[0], environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
	}, os.Args[1:]))
}
