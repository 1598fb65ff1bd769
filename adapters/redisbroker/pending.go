package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Names of consumers that nobody is. An entry under one of them waits: for its
// delay to be over (it is due after being idle for so long), or, having never
// been handed out, for the next consumer to take it before what is new. They are
// never deleted: somebody might just be putting an entry there.
const (
	delayedConsumer  = "delayed"
	returnedConsumer = "returned"
)

// pending is a group's list of pending entries on a stream, as one of its
// consumers uses it.
type pending struct {
	client        *redis.Client
	stream, group string
	me            string // the consumer's name
}

// move is an entry that changes hands. Its delivery count is set.
type move struct {
	id    string
	from  string
	was   int64 // its delivery count until then
	count int64
	lost  string // as a delivery's
}

// moveScript moves entries that still belong to whom we think, as the delivery
// that we think, and were idle for a while to a consumer, and returns their ids.
// Unlike a bare XCLAIM it can't take an entry from a consumer that has claimed it
// since, nor, told twice, a later delivery. A renewal is a move to oneself.
//
//	KEYS: stream
//	ARGV: group, to, least idle time, idle time afterwards (both ms), then id, from, old and new count of each
const moveScript = `
local moved = {}
for i = 5, #ARGV, 4 do
	local id, from, was, count = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
	local entry = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, from)[1]
	if entry and entry[4] == was then
		local got = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], id, 'IDLE', ARGV[4], 'RETRYCOUNT', count, 'JUSTID')
		if #got == 1 then moved[#moved + 1] = id end
	end
end
return moved`

// leaveScript deletes a consumer that has nothing. Deleted with entries, these
// would be lost.
//
//	KEYS: stream
//	ARGV: group, consumer
const leaveScript = `
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
	redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
return 1`

// ack settles entries, whoever has them: the work is done.
func (p pending) ack(ctx context.Context, ids ...string) error {
	if err := p.client.XAck(ctx, p.stream, p.group, ids...).Err(); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}

// move moves entries to a consumer, and returns the ids of those moved.
func (p pending) move(ctx context.Context, to string, minIdle, idle time.Duration, moves []move) ([]string, error) {
	if len(moves) == 0 {
		return nil, nil
	}
	args := make([]any, 0, 4+4*len(moves))
	args = append(args, p.group, to, minIdle.Milliseconds(), idle.Milliseconds())
	for _, m := range moves {
		args = append(args, m.id, m.from, m.was, m.count)
	}
	ids, err := redis.NewScript(moveScript).Run(ctx, p.client, []string{p.stream}, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("move entries to consumer %s: %w", to, err)
	}
	return ids, nil
}

// list returns up to n entries of a consumer, of all if that is empty, that were
// idle for a while and come after an id; "" is before all.
func (p pending) list(ctx context.Context, consumer string, idle time.Duration, after string, n int) ([]redis.XPendingExt, error) {
	start := "-"
	if after != "" {
		start = "(" + after
	}
	entries, err := p.client.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: p.stream, Group: p.group, Idle: idle, Start: start, End: "+", Count: int64(n), Consumer: consumer,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("list pending entries: %w", err)
	}
	return entries, nil
}

// fetch returns entries by their ids, without those that are no more. (XCLAIM
// and XAUTOCLAIM answer nil for such a one, which fails the client for all.)
func (p pending) fetch(ctx context.Context, ids []string) ([]redis.XMessage, error) {
	answers, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, id := range ids {
			pipe.XRange(ctx, p.stream, id, id)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("fetch entries: %w", err)
	}
	var entries []redis.XMessage
	for _, a := range answers {
		if found, ok := a.(*redis.XMessageSliceCmd); ok {
			entries = append(entries, found.Val()...)
		}
	}
	return entries, nil
}

// readNew returns up to n entries that nobody was given, now ours. It waits for
// the first, or returns none after block; a negative block is no wait.
func (p pending) readNew(ctx context.Context, n int, block time.Duration) ([]redis.XMessage, error) {
	streams, err := p.client.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: p.group, Consumer: p.me, Streams: []string{p.stream, ">"}, Count: int64(n), Block: block,
	}).Result()
	switch {
	case errors.Is(err, redis.Nil), err == nil && len(streams) == 0:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read entries: %w", err)
	}
	return streams[0].Messages, nil
}

// leave deletes a consumer's name, unless it has entries.
func (p pending) leave(ctx context.Context, consumer string) error {
	err := redis.NewScript(leaveScript).Run(ctx, p.client, []string{p.stream}, p.group, consumer).Err()
	if err != nil {
		return fmt.Errorf("delete consumer %s: %w", consumer, err)
	}
	return nil
}

// forgetTheDead deletes the names of consumers that left without a word.
func (p pending) forgetTheDead(ctx context.Context, lease time.Duration) error {
	consumers, err := p.client.XInfoConsumers(ctx, p.stream, p.group).Result()
	if err != nil {
		return fmt.Errorf("list consumers: %w", err)
	}
	for _, c := range consumers {
		if c.Idle < 2*lease || c.Pending > 0 || c.Name == p.me || c.Name == delayedConsumer || c.Name == returnedConsumer {
			continue
		}
		if err := p.leave(ctx, c.Name); err != nil {
			return err
		}
	}
	return nil
}

// groupInfos returns the groups of a stream, none for one that is not there.
func groupInfos(ctx context.Context, client *redis.Client, stream string) ([]redis.XInfoGroup, error) {
	groups, err := client.XInfoGroups(ctx, stream).Result()
	switch {
	case err != nil && strings.Contains(err.Error(), "no such key"):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list groups of the stream %q: %w", stream, err)
	}
	return groups, nil
}
