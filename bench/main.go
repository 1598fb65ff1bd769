// Command bench measures Lectern against peers, and prints how they compare:
//
//	make bench                            # also writes results/latest.json
//	make bench BENCHFLAGS='-run replay -rounds 3'
//	make bench-full                       # also what takes minutes each
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
	"regexp"
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
	rounds   int
	fsync    string
	out      string
	check    bool
	readme   string
	narrowed bool // by -run
	entries  int
	long     bool
	only     *regexp.Regexp
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{only: regexp.MustCompile("")}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of each bench; the medians are reported")
	flags.StringVar(&o.fsync, "fsync", "on", "Postgres' fsync: on, as in production, or off, which leaves out the disk")
	flags.StringVar(&o.out, "out", "", "file for the results as JSON, with a table and a plot beside it; empty for none. With -run, what else is there stays")
	flags.StringVar(&o.readme, "readme", "", "file whose part on the results is to be rewritten, too; empty for none")
	flags.BoolVar(&o.check, "check", false, "fail when a goal is missed")
	flags.IntVar(&o.entries, "entries", 100_000, "entries that a relay drains at once")
	flags.BoolVar(&o.long, "long", false, "measure also what takes minutes each: tens of drains, a held snapshot, millions of rows")
	flags.Func("run", "only benches whose name matches the regular expression", func(s string) (err error) {
		o.narrowed = true
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
	case o.entries < 1:
		return o, errors.New("-entries must be at least 1")
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
	for _, s := range []subject{&server{fsync: o.fsync}, &kafka{log: log}, &redisServer{log: log}, newRelays(o, log), &pipeline{top: beside(o.out, "-pipeline-cpu.txt")}} {
		measured, said, err := measure(ctx, s, o, log)
		if err != nil {
			return err
		}
		if len(measured) > 0 {
			results = append(results, measured...)
			settings = union(settings, said)
		}
	}
	_, err = fmt.Fprintf(stdout, "\nMedians of interleaved turns: %d rounds of 10, of the relay as many as each bench says. On %s. %s.\n\n",
		o.rounds, strings.Join(machine(), ". "), strings.Join(settings, ". "))
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return report(o, results, settings, stdout)
}

func report(o options, results []compare.Result, settings []string, stdout io.Writer) error {
	if err := compare.WriteTable(stdout, results); err != nil {
		return err
	}
	if o.out != "" {
		if err := writeResults(o, results, settings); err != nil {
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
