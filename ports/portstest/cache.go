package portstest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"lectern/domain"
	"lectern/ports"
)

// CacheHarness makes the caches that TestCache tries.
type CacheHarness struct {
	// New returns a cache that is empty, the test's own, closed at its end, and
	// as patient as it can be: a slow machine is no miss.
	New func(t *testing.T) ports.Cache
}

// TestCache checks that caches keep the contract of ports.Cache. Each test has
// a cache of its own, and leaves no goroutine behind.
func TestCache(t *testing.T, harness CacheHarness) {
	t.Helper()
	for name, run := range map[string]func(*cacheT){
		"AnUnknownKeyIsAMiss":                cacheMisses,
		"AnAnswerComesBackAsItWasSet":        cacheRoundTrip,
		"ALaterAnswerTakesThePlaceOfAnother": cacheReplaces,
		"AnAnswerIsGoneAfterItsTime":         cacheExpires,
		"AnAnswerWithoutTimeIsNotKept":       cacheKeepsNothingForNoTime,
		"AKeyBelongsToItsOrganization":       cacheScopesKeys,
		"KeysOfAnyCharactersAreApart":        cacheTakesAnyKey,
		"TheLargestAnswerIsKept":             cacheKeepsTheLargest,
		"CallersAtOnceGetWholeAnswers":       cacheServesManyAtOnce,
		"ACallerThatHasLeftIsNotServed":      cacheLeavesTheCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			running := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, running) })
			run(&cacheT{T: t, Cache: harness.New(t), organization: uuid.New()})
		})
	}
}

// cacheT is a test's state, with a cache and an organization of its own.
type cacheT struct {
	*testing.T
	ports.Cache
	organization uuid.UUID
}

const cacheKey domain.IdempotencyKey = "key-number-1"

// newAnswer makes an answer that no other is equal to.
func (t *cacheT) newAnswer() domain.CachedAnswer {
	t.Helper()
	// Spacing, escapes and the order of keys must stay.
	return t.answer(fmt.Sprintf(`{"z": "<%s>", "a":[1.50, "\u0416", "Ж", "\n"]}`, uuid.New()))
}

func (t *cacheT) answer(result string) domain.CachedAnswer {
	t.Helper()
	fp, err := domain.FingerprintOf(result)
	require.NoError(t, err)
	a, err := domain.NewCachedAnswer(fp, json.RawMessage(result))
	require.NoError(t, err)
	return a
}

func (t *cacheT) set(key domain.IdempotencyKey, a domain.CachedAnswer, ttl time.Duration) {
	t.Set(t.Context(), t.organization, key, a, ttl)
}

func (t *cacheT) requireHit(key domain.IdempotencyKey, want domain.CachedAnswer) {
	t.Helper()
	got, hit := t.Get(t.Context(), t.organization, key)
	require.True(t, hit, "the key %q is a miss", key)
	require.Equal(t, want.Fingerprint, got.Fingerprint)
	require.Equal(t, string(want.Result), string(got.Result))
}

func (t *cacheT) requireMiss(key domain.IdempotencyKey) {
	t.Helper()
	got, hit := t.Get(t.Context(), t.organization, key)
	require.False(t, hit, "the key %q has %v", key, got)
	require.Zero(t, got)
}

func cacheMisses(t *cacheT) {
	t.requireMiss(cacheKey)
	t.set(cacheKey, t.newAnswer(), time.Hour)
	t.requireMiss(cacheKey + "2")
	t.requireMiss(cacheKey[:len(cacheKey)-1])
	t.requireMiss("KEY-NUMBER-1")
}

func cacheRoundTrip(t *cacheT) {
	a := t.newAnswer()
	t.set(cacheKey, a, 24*time.Hour)
	for range 3 {
		t.requireHit(cacheKey, a)
	}
}

func cacheReplaces(t *cacheT) {
	for range 3 {
		a := t.newAnswer()
		t.set(cacheKey, a, time.Hour)
		t.requireHit(cacheKey, a)
	}
}

// cacheExpires watches an answer to its end. Reading it must not lengthen its
// life, and neither may the longer life of what it replaced.
func cacheExpires(t *cacheT) {
	const (
		ttl   = 300 * time.Millisecond
		slack = 5 * time.Millisecond // clocks that tick in milliseconds, and not the same ones
	)
	other, a := t.newAnswer(), t.newAnswer()
	t.set(cacheKey+"-other", other, time.Hour)
	t.set(cacheKey, other, time.Hour)
	began := time.Now()
	t.set(cacheKey, a, ttl)
	stored := time.Now()
	for {
		asked := time.Now()
		got, hit := t.Get(t.Context(), t.organization, cacheKey)
		if !hit {
			require.Greater(t, time.Since(began), ttl-slack, "it was gone too early")
			break
		}
		require.Less(t, asked.Sub(stored), ttl+slack, "it was still there after its time")
		require.Equal(t, a, got)
		<-time.After(10 * time.Millisecond)
	}
	t.requireHit(cacheKey+"-other", other)
	t.set(cacheKey, a, time.Hour)
	t.requireHit(cacheKey, a)
}

func cacheKeepsNothingForNoTime(t *cacheT) {
	for _, ttl := range []time.Duration{0, -1, -time.Hour, 1, time.Millisecond - 1} {
		t.set(cacheKey, t.newAnswer(), ttl)
		t.requireMiss(cacheKey)
	}
	a := t.newAnswer()
	t.set(cacheKey, a, time.Hour)
	t.set(cacheKey, t.newAnswer(), -1)
	t.requireHit(cacheKey, a)
}

func cacheScopesKeys(t *cacheT) {
	mine, theirs := t.newAnswer(), t.newAnswer()
	other := uuid.New()
	t.set(cacheKey, mine, time.Hour)
	_, hit := t.Get(t.Context(), other, cacheKey)
	require.False(t, hit)
	t.Set(t.Context(), other, cacheKey, theirs, time.Hour)
	t.requireHit(cacheKey, mine)
	got, hit := t.Get(t.Context(), other, cacheKey)
	require.True(t, hit)
	require.Equal(t, theirs, got)
}

// cacheTakesAnyKey tries keys that a careless adapter would take for others.
func cacheTakesAnyKey(t *cacheT) {
	other := uuid.New()
	keys := []string{
		"12345678", " 12345678", "12345678 ", "12345678\n", "12345678\r\n", "\t12345678",
		"key:number:1", "key::number:1", ":key:number:1", "key-number-*", "key-number-?", "{key}-number", "key[1]\\number",
		"$8\r\nGET lectern", "\x01\x02\x03\x1b[31m\x7f", "ключ-номер-1", "КЛЮЧ-НОМЕР-1", "e\u0301-combined", "\u00e9-combined",
		"\u202ereversed", "\U0001F511\U0001F511\U0001F511\U0001F511\U0001F511\U0001F511\U0001F511\U0001F511",
		strings.Repeat("k", 255), strings.Repeat("k", 254), strings.Repeat("\U0001F511", 255),
		t.organization.String(), t.organization.String() + ":12345678", other.String() + ":12345678",
	}
	answers := make([]domain.CachedAnswer, len(keys))
	for _, organization := range []uuid.UUID{other, t.organization} {
		for i, k := range keys {
			key, err := domain.NewIdempotencyKey(k)
			require.NoError(t, err, "%q", k)
			answers[i] = t.newAnswer()
			t.Set(t.Context(), organization, key, answers[i], time.Hour)
		}
	}
	for i, k := range keys {
		t.requireHit(domain.IdempotencyKey(k), answers[i])
	}
}

func cacheKeepsTheLargest(t *cacheT) {
	const shell = `{"x":""}`
	large := t.answer(`{"x":"` + strings.Repeat("ж", (domain.MaxAnswerBytes-len(shell))/2) + `"}`)
	require.Len(t, large.Result, domain.MaxAnswerBytes)
	small := t.newAnswer()
	t.set(cacheKey, large, time.Hour)
	t.set(cacheKey+"-small", small, time.Hour)
	t.requireHit(cacheKey, large)
	t.requireHit(cacheKey+"-small", small)
}

func cacheServesManyAtOnce(t *cacheT) {
	const callers, rounds = 16, 30
	shared := make([]domain.CachedAnswer, callers)
	for i := range shared {
		shared[i] = t.answer(fmt.Sprintf(`{"caller": %d, "text": "%s"}`, i, strings.Repeat("x", 500*i)))
	}
	whole := func(got domain.CachedAnswer) bool {
		return slices.ContainsFunc(shared, func(a domain.CachedAnswer) bool {
			return a.Fingerprint == got.Fingerprint && string(a.Result) == string(got.Result)
		})
	}
	problems := make([]string, callers)
	var wait sync.WaitGroup
	for i, a := range shared {
		wait.Go(func() {
			own := domain.IdempotencyKey(fmt.Sprintf("key-of-caller-%d", i))
			for range rounds {
				t.set(cacheKey, a, time.Hour)
				t.set(own, a, time.Hour)
				if got, hit := t.Get(t.Context(), t.organization, cacheKey); !hit || !whole(got) {
					problems[i] = fmt.Sprintf("the shared key has %v, %v", got, hit)
				}
				if got, hit := t.Get(t.Context(), t.organization, own); !hit || got.Fingerprint != a.Fingerprint {
					problems[i] = fmt.Sprintf("the caller's own key has %v, %v", got, hit)
				}
			}
		})
	}
	wait.Wait()
	require.Empty(t, strings.Join(problems, ""))
}

func cacheLeavesTheCancelled(t *cacheT) {
	a := t.newAnswer()
	t.set(cacheKey, a, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		_, hit := t.Get(ctx, t.organization, cacheKey)
		require.False(t, hit)
		t.Set(ctx, t.organization, cacheKey, t.newAnswer(), time.Hour)
	}
	t.requireHit(cacheKey, a) // nor did it harm the others
}
