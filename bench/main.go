// Command bench measures Lectern against peers, and prints how they compare:
//
//	make bench                            # also writes results/latest.json
//	make bench BENCHFLAGS='-run replay -rounds 3'
//
// A bench is a compare.Bench: to add one, write a function that makes it and
// add it to the benches of its subject. `go run .` in this folder measures what
// is on Postgres; brokers are those whose addresses with-stack puts into the
// environment. The module is one of its own, so that the peers are no
// dependencies of Lectern.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"lectern/bench/compare"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds int
	fsync  string
	out    string
	check  bool
	only   *regexp.Regexp
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{only: regexp.MustCompile("")}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 9, "rounds of each bench; the medians are reported")
	flags.StringVar(&o.fsync, "fsync", "on", "Postgres' fsync: on, as in production, or off, which leaves out the disk")
	flags.StringVar(&o.out, "out", "", "file for the results as JSON; empty for none")
	flags.BoolVar(&o.check, "check", false, "fail when a goal is missed")
	flags.Func("run", "only benches whose name matches the regular expression", func(s string) (err error) {
		o.only, err = regexp.Compile(s)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.rounds < 1:
		return o, errors.New("-rounds must be at least 1")
	case o.fsync != "on" && o.fsync != "off":
		return o, fmt.Errorf("-fsync is %q: use on or off", o.fsync)
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	var results []compare.Result
	var settings []string
	for _, s := range []subject{&server{fsync: o.fsync}, &kafka{log: log}, &redisServer{log: log}} {
		measured, setting, err := measure(ctx, s, o, log)
		if err != nil {
			return err
		}
		if len(measured) > 0 {
			results = append(results, measured...)
			settings = append(settings, setting)
		}
	}
	_, err = fmt.Fprintf(stdout, "\nMedians of %d rounds of 10 interleaved turns, on %d CPUs. %s.\n\n",
		o.rounds, runtime.NumCPU(), strings.Join(settings, ". "))
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return report(o, results, stdout)
}

func report(o options, results []compare.Result, stdout io.Writer) error {
	if err := compare.WriteTable(stdout, results); err != nil {
		return err
	}
	if o.out != "" {
		if err := writeFile(o.out, results); err != nil {
			return err
		}
	}
	for _, r := range results {
		if o.check && !r.Goal.Met(r.Ratio) {
			return fmt.Errorf("%s: the ratio is %.2f, the goal %s", r.Name, r.Ratio, r.Goal)
		}
	}
	return nil
}

func writeFile(path string, results []compare.Result) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make folder of results: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make file of results: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return compare.WriteJSON(file, results)
}
