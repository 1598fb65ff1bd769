package redisbroker

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// trimStep is how many entries are removed at once.
const trimStep = 10_000

// trim removes the entries of a stream that all its groups have settled, ours or
// not, about: Redis removes whole nodes of its tree, of a hundred entries or so.
// A stream without groups is left alone.
func trim(ctx context.Context, client *redis.Client, stream string) error {
	groups, err := groupInfos(ctx, client, stream)
	if err != nil || len(groups) == 0 {
		return err
	}
	settled, err := settledUpTo(ctx, client, stream, groups)
	if err != nil {
		return err
	}
	for removed := int64(trimStep); removed >= trimStep; {
		if removed, err = client.XTrimMinIDApprox(ctx, stream, settled, trimStep).Result(); err != nil {
			return fmt.Errorf("trim the stream %q: %w", stream, err)
		}
	}
	return nil
}

// settledUpTo returns the lowest id that a group has yet to settle or, where one
// has nothing pending, the last that it was given. What a group is given
// afterwards is higher, so the answer stays true.
func settledUpTo(ctx context.Context, client *redis.Client, stream string, groups []redis.XInfoGroup) (string, error) {
	lowest := ""
	for _, g := range groups {
		id := g.LastDeliveredID
		if g.Pending > 0 {
			summary, err := client.XPending(ctx, stream, g.Name).Result()
			if err != nil {
				return "", fmt.Errorf("ask what group %q has pending: %w", g.Name, err)
			}
			id = cmp.Or(summary.Lower, id)
		}
		if lowest == "" || compareIDs(id, lowest) < 0 {
			lowest = id
		}
	}
	return lowest, nil
}

// compareIDs orders entries' ids, which are two numbers: 1700000000000-0.
func compareIDs(a, b string) int {
	aTime, aSeq := parseID(a)
	bTime, bSeq := parseID(b)
	return cmp.Or(cmp.Compare(aTime, bTime), cmp.Compare(aSeq, bSeq))
}

// parseID takes what is not an id, which Redis does not send, for the lowest.
func parseID(id string) (time, seq uint64) {
	first, second, _ := strings.Cut(id, "-")
	time, _ = strconv.ParseUint(first, 10, 64)
	seq, _ = strconv.ParseUint(second, 10, 64)
	return time, seq
}
