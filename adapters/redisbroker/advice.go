package redisbroker

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"lectern/ports"
)

var _ ports.Adviser = (*Broker)(nil)

// The first version that has all that we use: XPENDING ... IDLE, XADD NOMKSTREAM
// and ranges without their first.
const leastMajor, leastMinor = 6, 2

// Advice implements ports.Adviser.
func (b *Broker) Advice(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	var advice []string
	for _, look := range []func(context.Context) (string, error){
		b.lookAtVersion,
		b.lookAtSetting("appendonly", "yes", "what came since its last snapshot is lost when it ends"),
		b.lookAtSetting("maxmemory-policy", "noeviction", "when its memory is full it may delete queues"),
	} {
		said, err := look(ctx)
		if err != nil {
			return nil, fmt.Errorf("look at the server at %s: %w", b.opts.Addresses[0], err)
		}
		if said != "" {
			advice = append(advice, said)
		}
	}
	return advice, nil
}

// lookAtVersion asks by HELLO, which came with 6.0 and is every user's right.
func (b *Broker) lookAtVersion(ctx context.Context) (string, error) {
	hello := redis.NewMapStringInterfaceCmd(ctx, "HELLO")
	if err := b.client.Process(ctx, hello); err != nil {
		return "", fmt.Errorf("ask for its version (HELLO, which Redis has since 6.0): %w", err)
	}
	if version, _ := hello.Val()["version"].(string); isTooOld(version) {
		return "", fmt.Errorf("its version is %s, and %d.%d is the first that will do: upgrade it", version, leastMajor, leastMinor)
	}
	return "", nil
}

// isTooOld knows nothing of a version that somebody counts otherwise.
func isTooOld(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major < leastMajor || major == leastMajor && minor < leastMinor
}

func (b *Broker) lookAtSetting(setting, wanted, otherwise string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		answer, err := b.client.ConfigGet(ctx, setting).Result()
		var refused redis.Error
		switch {
		case errors.As(err, &refused):
			return fmt.Sprintf("%s could not be looked at (%v): see to it that it is %s", setting, err, wanted), nil
		case err != nil:
			return "", fmt.Errorf("ask for %s: %w", setting, err)
		case answer[setting] != wanted:
			return fmt.Sprintf("%s is %q: %s; set it to %s", setting, answer[setting], otherwise, wanted), nil
		}
		return "", nil
	}
}
