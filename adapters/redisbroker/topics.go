package redisbroker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"lectern/ports"
)

// countScript counts a page of entries after an id, and returns how many and the
// last one's id. The entries themselves stay where they are.
//
//	KEYS: stream
//	ARGV: id, size of the page
const countScript = `
local page = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
return {#page, #page > 0 and page[#page][1] or ''}`

const countPage = 1000

// registration is a topic and a group of it.
type registration struct{ topic, group string }

// Prepare implements ports.Broker. Groups get what is in a stream already.
func (b *Broker) Prepare(ctx context.Context, topics, groups []string) error {
	if b.isClosed() {
		return fmt.Errorf("prepare topics: %w", errClosed)
	}
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	var all []registration
	for _, topic := range topics {
		for _, group := range groups {
			all = append(all, registration{topic, group})
		}
		if !ports.IsDeadTopic(topic) {
			all = append(all, registration{ports.DeadTopic(topic), ports.GroupDead})
		}
	}
	prepare := b.check
	if b.opts.CreateTopics {
		prepare = b.create
	}
	if err := prepare(ctx, all); err != nil {
		return fmt.Errorf("prepare topics at %s: %w", b.opts.Addresses[0], err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range all {
		b.prepared[r.topic] = true
	}
	return nil
}

func (b *Broker) create(ctx context.Context, all []registration) error {
	answers, err := b.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, r := range all {
			pipe.XGroupCreateMkStream(ctx, b.opts.stream(r.topic), b.opts.group(r.group), "0")
		}
		return nil
	})
	for i, r := range all {
		made, ok := answers[i].(*redis.StatusCmd)
		if !ok || made.Val() != "OK" && !redis.HasErrorPrefix(made.Err(), "BUSYGROUP") {
			return fmt.Errorf("make group %q of the stream %q: %w", // mostly, the others failed alike
				b.opts.group(r.group), b.opts.stream(r.topic), cause(answers[i], err))
		}
	}
	return nil
}

// check finds what is missing where we may not make it.
func (b *Broker) check(ctx context.Context, all []registration) error {
	var missing []string
	for _, r := range all {
		states, err := b.Topics(ctx, []string{r.topic}, []string{r.group})
		if err != nil {
			return err
		}
		if !states[0].Groups[0].Exists {
			missing = append(missing, fmt.Sprintf("XGROUP CREATE %s %s 0 MKSTREAM", b.opts.stream(r.topic), b.opts.group(r.group)))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("streams or groups are missing, and create_topics is false: let somebody run %s", strings.Join(missing, "; "))
	}
	return nil
}

// Topics implements ports.Broker.
func (b *Broker) Topics(ctx context.Context, topics, groups []string) ([]ports.TopicState, error) {
	if b.isClosed() {
		return nil, fmt.Errorf("list topics: %w", errClosed)
	}
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	states := make([]ports.TopicState, len(topics))
	for i, topic := range topics {
		state, err := b.topic(ctx, topic, groups)
		if err != nil {
			return nil, fmt.Errorf("list topics at %s: %w", b.opts.Addresses[0], err)
		}
		states[i] = state
	}
	return states, nil
}

func (b *Broker) topic(ctx context.Context, topic string, groups []string) (ports.TopicState, error) {
	stream := b.opts.stream(topic)
	state := ports.TopicState{Topic: topic, Detail: fmt.Sprintf("stream %q", stream)}
	infos, err := groupInfos(ctx, b.client.Client, stream)
	if err != nil {
		return state, err
	}
	state.Exists = len(infos) > 0
	for _, group := range groups {
		g := ports.GroupState{Group: group}
		i := slices.IndexFunc(infos, func(info redis.XInfoGroup) bool { return info.Name == b.opts.group(group) })
		if i >= 0 {
			unread, err := b.countAfter(ctx, stream, infos[i].LastDeliveredID)
			if err != nil {
				return state, err
			}
			g.Exists, g.Pending = true, infos[i].Pending+unread
		}
		state.Groups = append(state.Groups, g)
	}
	return state, nil
}

// countAfter counts the entries after an id. (A group's lag is known to Redis
// from version 7 on, and not always.)
func (b *Broker) countAfter(ctx context.Context, stream, id string) (int64, error) {
	var count int64
	for {
		page, err := redis.NewScript(countScript).Run(ctx, b.client, []string{stream}, id, countPage).Slice()
		if err != nil {
			return 0, fmt.Errorf("count entries of the stream %q: %w", stream, err)
		}
		if len(page) != 2 {
			return 0, fmt.Errorf("count entries of the stream %q: the answer is %v", stream, page)
		}
		n, _ := page[0].(int64)
		count += n
		if n < countPage {
			return count, nil
		}
		id, _ = page[1].(string)
	}
}
