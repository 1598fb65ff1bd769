package postgresbroker_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgresbroker"
	"lectern/ports"
)

const someDSN = "postgres://user:secret@127.0.0.1:1/db"

func TestOptionsAreDecodedStrictly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		raw  map[string]any
		says []string
	}{
		"no dsn":     {raw: nil, says: []string{"dsn must be an address"}},
		"no address": {raw: map[string]any{"dsn": "postgres://user:secret@host:port/db"}, says: []string{"dsn must be an address"}},
		"unknown keys": {
			raw: map[string]any{"dsn": someDSN, "shema": "x", "max_pending": 2},
			says: []string{"unknown: max_pending, shema", "allowed: dsn, schema, concurrency, max_message_bytes, poll_interval, " +
				"lease, retry_delay, retry_delay_max, max_deliveries, timeout, close_timeout"},
		},
		"a wrong type": {raw: map[string]any{"dsn": someDSN, "concurrency": "many"}, says: []string{"concurrency"}},
		"no unit":      {raw: map[string]any{"dsn": someDSN, "lease": 5}, says: []string{"lease: must be a time with its unit"}},
		"no name":      {raw: map[string]any{"dsn": someDSN, "schema": `x"; drop`}, says: []string{"schema must"}},
		"several problems": {
			raw:  map[string]any{"dsn": someDSN, "concurrency": 0, "poll_interval": "0s", "max_message_bytes": 1 << 30, "max_deliveries": -1},
			says: []string{"concurrency must", "poll_interval must", "max_message_bytes must", "max_deliveries must"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := postgresbroker.DecodeOptions(tc.raw)
			for _, part := range tc.says {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "secret")
		})
	}
	opts, err := postgresbroker.DecodeOptions(map[string]any{"dsn": someDSN, "concurrency": "7", "lease": "2s"})
	require.NoError(t, err)
	require.Equal(t, 7, opts.Concurrency)
	require.Equal(t, 2*time.Second, opts.Lease)
	require.Equal(t, "lectern_broker", opts.Schema, "by default")
	require.Equal(t, 100, opts.MaxDeliveries, "by default")
}

func TestDelaysDoubleUpToTheLongest(t *testing.T) {
	t.Parallel()
	opts := postgresbroker.Options{RetryDelay: time.Second, RetryDelayMax: 5 * time.Second}
	for attempts, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 1 << 30: 5 * time.Second,
	} {
		require.Equal(t, want, opts.RetryDelayAfter(attempts), attempts)
	}
}

// A message is given up only for what the server says of the message.
func TestFailuresAreClassified(t *testing.T) {
	t.Parallel()
	server := func(code string) error { return fmt.Errorf("publish: %w", &pgconn.PgError{Code: code}) }
	for name, tc := range map[string]struct {
		err  error
		want ports.PublishFailure
	}{
		"connection lost":      {io.ErrUnexpectedEOF, ports.Unavailable},
		"server stopping":      {server("57P01"), ports.Unavailable},
		"too many connections": {server("53300"), ports.Unavailable},
		"disk full":            {server("53100"), ports.Unavailable},
		"no such table":        {server("42P01"), ports.Unavailable},
		"not allowed":          {server("42501"), ports.Unavailable},
		"read only":            {server("25006"), ports.Unavailable},
		"bad data":             {server("22P02"), ports.Retryable},
		"constraint":           {server("23514"), ports.Retryable},
		"no code":              {server(""), ports.Unavailable},
	} {
		require.Equal(t, tc.want.String(), postgresbroker.Classify(tc.err).String(), name)
	}
}

func TestModuleRefusesBadOptions(t *testing.T) {
	t.Parallel()
	_, err := postgresbroker.Module(map[string]any{"dsn": someDSN, "colour": 1})
	require.ErrorContains(t, err, "colour")
}

// A server may come later: only what needs it fails, and soon.
func TestANewBrokerNeedsNoServerYet(t *testing.T) {
	t.Parallel()
	b := open(t, someDSN, map[string]any{"timeout": "1s"})
	require.Error(t, b.Ping(t.Context()))
	require.Error(t, b.Prepare(t.Context(), []string{"topic"}, []string{"group"}))
	var failed *ports.PublishError
	require.ErrorAs(t, b.Publish("topic", jobs(1)...), &failed)
	for _, m := range failed.Failed {
		require.Equal(t, ports.Unavailable, m.Failure)
	}
	sub, err := b.Subscriber("group")
	require.NoError(t, err)
	_, err = sub.Subscribe(t.Context(), "topic")
	require.Error(t, err)
}
