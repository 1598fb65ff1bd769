package rediscache

import (
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// retryAfter is how long calls are spared after one that failed. Then one tries
// again, and the others are spared until it has an answer.
const retryAfter = time.Second

// breaker spares calls what would only fail, and logs an outage twice: when it
// begins and when it has ended.
type breaker struct {
	calls *gobreaker.CircuitBreaker[struct{}]
	judge func(error) verdict
	words words
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	since  time.Time
	missed int   // calls of this outage that came to nothing
	cause  error // of the latest failure
}

// words are a breaker's two lines in the log.
type words struct{ began, ended string }

// verdict says what the outcome of a call tells of the server.
type verdict int

const (
	works verdict = iota
	fails
	unknown
)

func newBreaker(w words, judge func(error) verdict, now func() time.Time, log *slog.Logger) *breaker {
	b := &breaker{judge: judge, words: w, now: now, log: log}
	b.calls = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:       retryAfter,
		ReadyToTrip:   func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures > 0 },
		IsSuccessful:  func(err error) bool { return judge(err) == works },
		IsExcluded:    func(err error) bool { return judge(err) == unknown },
		OnStateChange: func(_ string, from, to gobreaker.State) { b.changed(from, to) },
	})
	return b
}

// do makes the call, or fails it without.
func (b *breaker) do(call func() error) error {
	_, err := b.calls.Execute(func() (struct{}, error) {
		err := call()
		if b.judge(err) == fails {
			b.mu.Lock()
			b.cause = err
			b.mu.Unlock()
		}
		return struct{}{}, err
	})
	if err != nil {
		b.mu.Lock()
		b.missed++
		b.mu.Unlock()
	}
	return err
}

// changed is called before the call returns that changed the state.
func (b *breaker) changed(from, to gobreaker.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case from == gobreaker.StateClosed:
		b.since, b.missed = b.now(), 0
		b.log.Warn(b.words.began, "error", b.cause)
	case to == gobreaker.StateClosed:
		b.log.Info(b.words.ended, "lasted", b.now().Sub(b.since), "missed", b.missed)
	}
}
