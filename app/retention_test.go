package app_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/ports"
)

// retentionStore answers what it is told to, by task, and nothing once that is
// used up.
type retentionStore struct {
	answers map[ports.RetentionTask][]answer
	start   time.Time
	calls   []call
	hang    bool
}

type answer struct {
	deleted int64
	more    bool
	err     error
}

type call struct {
	task ports.RetentionTask
	at   time.Duration // since the clean-up's start
}

func (s *retentionStore) DeleteBatch(ctx context.Context, rule ports.RetentionRule) (int64, bool, error) {
	s.calls = append(s.calls, call{rule.Task, time.Since(s.start)})
	if s.hang {
		<-ctx.Done()
		return 0, false, ctx.Err()
	}
	left := s.answers[rule.Task]
	if len(left) == 0 {
		return 0, false, nil
	}
	s.answers[rule.Task] = left[1:]
	return left[0].deleted, left[0].more, left[0].err
}

// cleanUp runs a clean-up for a time of its bubble's clock and returns it when
// it has stopped, and what it logged.
func cleanUp(t *testing.T, s *retentionStore, random float64, d time.Duration) (*app.Retention, string) {
	t.Helper()
	var log bytes.Buffer
	s.start = time.Now()
	r := app.NewRetention(app.RetentionDeps{
		Store: s, LookEvery: time.Hour, Random: func() float64 { return random }, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Rules: []ports.RetentionRule{{Task: ports.RetentionKeys, Batch: 10}, {Task: ports.RetentionEntries, Batch: 10}},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-time.After(d)
	synctest.Wait()
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, d, time.Since(s.start), "it stopped at once")
	return r, log.String()
}

func TestRetentionLooksAtOnceAndThenBetweenHalfAndAllOfItsInterval(t *testing.T) {
	t.Parallel()
	for random, interval := range map[float64]time.Duration{0: 30 * time.Minute, 0.5: 45 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := &retentionStore{}
			cleanUp(t, s, random, time.Hour)
			require.Equal(t, []call{
				{ports.RetentionKeys, 0},
				{ports.RetentionEntries, 0},
				{ports.RetentionKeys, interval},
				{ports.RetentionEntries, interval},
			}, s.calls[:4])
		})
	}
}

func TestRetentionGoesOnUntilARunIsDoneAndCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &retentionStore{answers: map[ports.RetentionTask][]answer{
			ports.RetentionKeys: {{10, true, nil}, {10, true, nil}, {3, false, nil}, {4, false, nil}},
		}}
		r, log := cleanUp(t, s, 0, 30*time.Minute)
		require.Equal(t, []call{
			{ports.RetentionKeys, 0},
			{ports.RetentionKeys, 0},
			{ports.RetentionKeys, 0},
			{ports.RetentionEntries, 0},
			{ports.RetentionKeys, 30 * time.Minute},
			{ports.RetentionEntries, 30 * time.Minute},
		}, s.calls)
		require.Equal(t, map[ports.RetentionTask]int64{"keys": 27, "entries": 0}, r.Deleted())
		require.Equal(t, 2, strings.Count(log, "\n"), "a line for each run that deleted something, none for the others")
		require.Contains(t, log, `level=INFO msg="cleaned up" task=keys deleted=23`)
		require.Contains(t, log, `level=INFO msg="cleaned up" task=keys deleted=4`)
	})
}

func TestWhatFailsIsLoggedAndTriedAtTheNextLookAndHoldsNoOtherTaskBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &retentionStore{answers: map[ports.RetentionTask][]answer{
			ports.RetentionKeys:    {{10, true, nil}, {0, true, errors.New("no connection")}, {2, false, nil}},
			ports.RetentionEntries: {{1, false, nil}},
		}}
		r, log := cleanUp(t, s, 0, 30*time.Minute)
		require.Equal(t, []call{
			{ports.RetentionKeys, 0},
			{ports.RetentionKeys, 0},
			{ports.RetentionEntries, 0},
			{ports.RetentionKeys, 30 * time.Minute},
			{ports.RetentionEntries, 30 * time.Minute},
		}, s.calls)
		require.Equal(t, map[ports.RetentionTask]int64{"keys": 12, "entries": 1}, r.Deleted())
		require.Contains(t, log, `level=WARN msg="clean-up failed, and goes on at the next look" task=keys error="no connection"`)
	})
}

func TestRetentionThatIsStoppedInABatchBeginsNoOtherAndDoesNotWarn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &retentionStore{hang: true}
		_, log := cleanUp(t, s, 0, time.Minute)
		require.Equal(t, []call{{ports.RetentionKeys, 0}}, s.calls)
		require.Empty(t, log)
	})
}
