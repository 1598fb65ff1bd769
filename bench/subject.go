package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"lectern/bench/compare"
)

// subject is a server and what is measured on it. Its benches are there before
// it has started: it does so when one of them is to be run.
type subject interface {
	benches() []compare.Trial
	start(ctx context.Context) error
	settle(ctx context.Context) error               // as compare.Runner's
	settings(ctx context.Context) ([]string, error) // what the numbers depend on, each after the name of what it is of
	stop(ctx context.Context) error                 // after a start that failed, too
}

// measure runs what is asked for of a subject's benches.
func measure(ctx context.Context, s subject, o options, log *slog.Logger) (results []compare.Result, settings []string, err error) {
	var asked []compare.Trial
	for _, b := range s.benches() {
		if o.only.MatchString(b.Title()) {
			asked = append(asked, b)
		}
	}
	if len(asked) == 0 {
		return nil, nil, nil
	}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	if err := s.start(ctx); err != nil {
		return nil, nil, err
	}
	runner := compare.Runner{Rounds: o.rounds, Settle: s.settle, Log: log}
	for _, b := range asked {
		found, err := b.Try(ctx, runner)
		if err != nil {
			return nil, nil, err
		}
		results = append(results, found...)
	}
	settings, err = s.settings(ctx)
	return results, settings, err
}

// union is a, and what of b says something of what a says nothing of: each is of
// its first word.
func union(a, b []string) []string {
	for _, said := range b {
		if !slices.ContainsFunc(a, func(s string) bool { return firstWord(s) == firstWord(said) }) {
			a = append(a, said)
		}
	}
	return a
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}
