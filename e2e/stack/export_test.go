package stack

import (
	"context"
	"net/url"
	"strconv"
)

// ErrPortTaken is what LaunchRedisAt should return.
var ErrPortTaken = errPortTaken

// LaunchRedisAt starts a Redis at the address of another.
func LaunchRedisAt(ctx context.Context, address string) error {
	parsed, err := url.Parse(address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(parsed.Port())
	if err != nil {
		return err
	}
	program, err := redisProgram(ctx)
	if err != nil {
		return err
	}
	process, err := launchRedis(ctx, program, port, "")
	if err == nil {
		process.kill()
	}
	return err
}

// CachedRedis finds or fetches redis-server with a folder as its cache.
func CachedRedis(ctx context.Context, dir string) (string, error) { return cachedRedis(ctx, dir) }

// CachedKafka finds or fetches Kafka in a folder.
func CachedKafka(ctx context.Context, dir string) (string, error) { return cachedKafka(ctx, dir) }
