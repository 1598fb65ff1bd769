package memorycache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/memorycache"
	"lectern/domain"
	"lectern/ports"
	"lectern/ports/portstest"
)

func TestConformance(t *testing.T) {
	portstest.TestCache(t, portstest.CacheHarness{New: func(t *testing.T) ports.Cache {
		t.Helper()
		return open(t, nil)
	}})
}

func TestTheEntriesAreBounded(t *testing.T) {
	t.Parallel()
	c := open(t, map[string]any{"max_entries": 3})
	for i := range 3 {
		set(t, c, i, 10)
	}
	requireHeld(t, c, 0, 1, 2)
	requireHeld(t, c, 0) // which makes 1 the one that was asked for least recently
	set(t, c, 3, 10)
	requireHeld(t, c, 3, 2, 0)
	requireMissing(t, c, 1)
}

func TestTheBytesAreBounded(t *testing.T) {
	t.Parallel()
	c := open(t, map[string]any{"max_bytes": 2 << 20})
	for i := range 10 {
		set(t, c, i, 500<<10)
	}
	requireHeld(t, c, 9, 8, 7, 6)
	requireMissing(t, c, 0, 1, 2, 3, 4, 5)
	set(t, c, 6, 10) // a smaller one in its place
	set(t, c, 10, 10)
	requireHeld(t, c, 10, 9, 8, 7, 6)
	set(t, c, 8, 1048<<10) // and a larger one
	requireHeld(t, c, 8, 7, 6)
	requireMissing(t, c, 9, 10)
}

func TestWhatIsTooLargeForTheWholeCacheLeavesItAsItIs(t *testing.T) {
	t.Parallel()
	c := memorycache.New(memorycache.Options{MaxEntries: 10, MaxBytes: 2000})
	set(t, c, 0, 10)
	set(t, c, 1, 2000)
	requireHeld(t, c, 0)
	requireMissing(t, c, 1)
}

func TestOptionsAreReadStrictly(t *testing.T) {
	t.Parallel()
	got, err := memorycache.DecodeOptions(nil)
	require.NoError(t, err)
	require.Equal(t, memorycache.Options{MaxEntries: 10_000, MaxBytes: 64 << 20}, got)

	got, err = memorycache.DecodeOptions(map[string]any{"max_entries": "1", "max_bytes": 2 << 20})
	require.NoError(t, err)
	require.Equal(t, memorycache.Options{MaxEntries: 1, MaxBytes: 2 << 20}, got)

	for name, tc := range map[string]struct {
		raw  map[string]any
		says []string
	}{
		"unknown":    {map[string]any{"url": "x"}, []string{"unknown: url; allowed: max_entries, max_bytes"}},
		"too little": {map[string]any{"max_entries": 0, "max_bytes": 2<<20 - 1}, []string{"max_entries must be 1 or more", "max_bytes must be 2097152 (2 MiB) or more"}},
		"not whole":  {map[string]any{"max_entries": 1.5}, []string{"max_entries: must be a whole number"}},
	} {
		_, err := memorycache.DecodeOptions(tc.raw)
		for _, part := range tc.says {
			require.ErrorContains(t, err, part, name)
		}
		_, moduleErr := memorycache.Module(tc.raw)
		require.Equal(t, err, moduleErr)
	}
}

func open(t *testing.T, raw map[string]any) ports.Cache {
	t.Helper()
	opts, err := memorycache.DecodeOptions(raw)
	require.NoError(t, err)
	return memorycache.New(opts)
}

func key(i int) domain.IdempotencyKey { return domain.IdempotencyKey(fmt.Sprintf("key-number-%d", i)) }

func set(t *testing.T, c ports.Cache, i, size int) {
	t.Helper()
	a := domain.CachedAnswer{Fingerprint: "f", Result: []byte(strings.Repeat("x", size))}
	c.Set(t.Context(), uuid.Nil, key(i), a, time.Hour)
}

func requireHeld(t *testing.T, c ports.Cache, numbers ...int) {
	t.Helper()
	for _, i := range numbers {
		_, hit := c.Get(t.Context(), uuid.Nil, key(i))
		require.True(t, hit, "key %d is a miss", i)
	}
}

func requireMissing(t *testing.T, c ports.Cache, numbers ...int) {
	t.Helper()
	for _, i := range numbers {
		_, hit := c.Get(t.Context(), uuid.Nil, key(i))
		require.False(t, hit, "key %d is there", i)
	}
}
