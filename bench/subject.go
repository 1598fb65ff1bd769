package main

import (
	"context"
	"errors"
	"log/slog"

	"lectern/bench/compare"
)

// subject is a server and what is measured on it. Its benches are there before
// it has started: it does so when one of them is to be run.
type subject interface {
	benches() []compare.Bench
	start(ctx context.Context) error
	settle(ctx context.Context) error             // as compare.Runner's
	settings(ctx context.Context) (string, error) // what the numbers depend on
	stop(ctx context.Context) error               // after a start that failed, too
}

// measure runs what is asked for of a subject's benches.
func measure(ctx context.Context, s subject, o options, log *slog.Logger) (results []compare.Result, settings string, err error) {
	var asked []compare.Bench
	for _, b := range s.benches() {
		if o.only.MatchString(b.Name) {
			asked = append(asked, b)
		}
	}
	if len(asked) == 0 {
		return nil, "", nil
	}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	if err := s.start(ctx); err != nil {
		return nil, "", err
	}
	runner := compare.Runner{Rounds: o.rounds, Settle: s.settle, Log: log}
	for _, b := range asked {
		result, err := runner.Run(ctx, b)
		if err != nil {
			return nil, "", err
		}
		results = append(results, result)
	}
	settings, err = s.settings(ctx)
	return results, settings, err
}
