package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisVariable names the environment variable with the address of the Redis
// that the tests use. All its databases are theirs.
const RedisVariable = "LECTERN_TEST_REDIS"

// Database 0 holds what tests know of each other, whatever package they are of.
const (
	drawnKey   = "lectern:test:drawn"
	takenKeys  = "lectern:test:taken:" // and the number
	testsLimit = time.Hour             // then a test that was killed has given its database back
)

// WithRedis adds Redis to the servers of a run.
func WithRedis(n *needs) { *n = append(*n, need{variable: RedisVariable, start: startRedis}) }

func startRedis(ctx context.Context) (*server, error) {
	program, err := redisProgram(ctx)
	if err != nil {
		return nil, noRedis(err)
	}
	process, err := launchRedisSomewhere(ctx, program, "")
	if err != nil {
		return nil, noRedis(err)
	}
	stop := func() error { process.kill(); return nil }
	return &server{address: redisAddress(process.port), stop: stop}, nil
}

func noRedis(err error) error {
	return fmt.Errorf("there is no Redis for the tests: %w: or set %s to the redis:// address of a server "+
		"of version 6.2 or later that is used for tests alone", err, RedisVariable)
}

// Redis returns the address of an empty Redis database, which is emptied when
// the test ends. Tests may call it in parallel. Only keys are the test's own:
// Pub/Sub channels, scripts and settings are those of all tests of the run, for
// which there is StartRedis.
func Redis(tb testing.TB) string {
	tb.Helper()
	server, err := url.Parse(os.Getenv(RedisVariable))
	if err != nil || server.Host == "" {
		tb.Fatalf("%s is not set to a redis:// address: let TestMain call stack.Main with stack.WithRedis, or run under with-stack", RedisVariable)
	}
	number, err := takeDatabase(tb.Context(), server, tb.Name())
	if err != nil {
		tb.Fatalf("take a database of the Redis of %s: %v", RedisVariable, err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := releaseDatabase(ctx, server, number); err != nil {
			tb.Errorf("give a database of Redis back: %v", err)
		}
	})
	return redisDatabase(server, number)
}

// takeDatabase takes the next number that no test has. Numbers go round, so that
// one is not used again soon. What a test left that was killed is removed.
func takeDatabase(ctx context.Context, server *url.URL, test string) (number int, err error) {
	err = onRedis(server, 0, func(client *redis.Client) error {
		number, err = takeNumber(ctx, client, test)
		return err
	})
	if err != nil {
		return 0, err
	}
	return number, flush(ctx, server, number)
}

func takeNumber(ctx context.Context, client *redis.Client, test string) (int, error) {
	databases, err := countDatabases(ctx, client)
	if err != nil {
		return 0, err
	}
	drawn, err := client.Incr(ctx, drawnKey).Result()
	if err != nil {
		return 0, fmt.Errorf("draw number: %w", err)
	}
	for try := range int64(databases - 1) {
		number := 1 + int((drawn+try)%int64(databases-1))
		taken, err := client.SetNX(ctx, takenKey(number), test, testsLimit).Result()
		if err != nil {
			return 0, fmt.Errorf("take number: %w", err)
		}
		if taken {
			return number, nil
		}
	}
	return 0, fmt.Errorf("it has %d, and tests have them all: start it with --databases %s, or run fewer tests at a time; "+
		"what a killed test had is free an hour after it began", databases, redisDatabases)
}

func countDatabases(ctx context.Context, client *redis.Client) (int, error) {
	const setting = "databases"
	answer, err := client.ConfigGet(ctx, setting).Result()
	if err != nil {
		return 0, fmt.Errorf("ask how many databases it has: %w", err)
	}
	return strconv.Atoi(answer[setting])
}

func releaseDatabase(ctx context.Context, server *url.URL, number int) error {
	if err := flush(ctx, server, number); err != nil {
		return err
	}
	return onRedis(server, 0, func(client *redis.Client) error { return client.Del(ctx, takenKey(number)).Err() })
}

func flush(ctx context.Context, server *url.URL, number int) error {
	return onRedis(server, number, func(client *redis.Client) error {
		if err := client.FlushDB(ctx).Err(); err != nil {
			return fmt.Errorf("empty database %d: %w", number, err)
		}
		return nil
	})
}

func onRedis(server *url.URL, number int, do func(*redis.Client) error) error {
	options, err := redis.ParseURL(redisDatabase(server, number))
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	client := redis.NewClient(options)
	return errors.Join(do(client), client.Close())
}

func takenKey(number int) string { return takenKeys + strconv.Itoa(number) }

func redisDatabase(server *url.URL, number int) string {
	address := *server
	address.Path = "/" + strconv.Itoa(number)
	return address.String()
}
