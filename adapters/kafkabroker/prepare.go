package kafkabroker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"lectern/ports"
)

// wanted is a topic of ours that Prepare wants to be there, with its groups.
type wanted struct {
	topic, name string // ours, the broker's
	groups      []string
	partitions  int32
}

// Prepare implements ports.Broker. It makes what topics are missing, or says
// which, where create_topics is false. A group begins at a topic's start: who
// was registered once and forgotten by the broker, as it forgets groups
// that did not consume for long, misses nothing.
func (b *Broker) Prepare(ctx context.Context, topics, groups []string) error {
	if b.isClosed() {
		return fmt.Errorf("prepare topics: %w", errClosed)
	}
	all, err := b.wanted(topics, groups)
	if err != nil {
		return fmt.Errorf("prepare topics: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	if err := b.ensureTopics(ctx, all); err != nil {
		return fmt.Errorf("prepare topics: %w", err)
	}
	if err := b.ensureGroups(ctx, all); err != nil {
		return fmt.Errorf("prepare groups: %w", err)
	}
	for _, w := range all {
		b.know(w.topic)
	}
	return nil
}

func (b *Broker) wanted(topics, groups []string) ([]wanted, error) {
	var all []wanted
	for _, topic := range topics {
		if ports.IsDeadTopic(topic) {
			all = append(all, b.wantedDead(topic, groups...))
			continue
		}
		all = append(all, wanted{topic, b.opts.topicName(topic), groups, b.opts.Partitions}, b.wantedDead(ports.DeadTopic(topic)))
	}
	for _, w := range all {
		for _, name := range append([]string{w.name}, w.groups...) {
			if !isName(name) {
				return nil, fmt.Errorf("the name %q must have 1 to 249 letters, digits, or any of . _ -", name)
			}
		}
	}
	return all, nil
}

func (b *Broker) wantedDead(topic string, groups ...string) wanted {
	return wanted{topic, b.opts.topicName(topic), append([]string{ports.GroupDead}, groups...), 1}
}

// ensureTopics returns once all topics can be published to.
func (b *Broker) ensureTopics(ctx context.Context, all []wanted) error {
	names := namesOf(all)
	missing, err := b.missing(ctx, names)
	if err != nil {
		return err
	}
	if len(missing) > 0 && !b.opts.CreateTopics {
		return fmt.Errorf("missing on the broker, and create_topics is false: create %s", strings.Join(missing, ", "))
	}
	for _, w := range all {
		if slices.Contains(missing, w.name) {
			if err := b.create(ctx, w); err != nil {
				return fmt.Errorf("create topic %s: %w", w.name, err)
			}
		}
	}
	if err := b.awaitTopics(ctx, names); err != nil {
		return err
	}
	return b.requireRoom(ctx, names)
}

// missing returns what topics are not there, or not led by any broker yet.
func (b *Broker) missing(ctx context.Context, names []string) ([]string, error) {
	found, err := b.admin.ListTopics(ctx, names...)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, name := range names {
		topic := found[name]
		switch {
		case errors.Is(topic.Err, kerr.UnknownTopicOrPartition), len(topic.Partitions) == 0 && topic.Err == nil:
			missing = append(missing, name)
		case topic.Err != nil:
			return nil, fmt.Errorf("look up topic %s: %w", name, topic.Err)
		}
	}
	return missing, nil
}

func (b *Broker) create(ctx context.Context, w wanted) error {
	retention := "-1"
	if b.opts.Retention > 0 {
		retention = strconv.FormatInt(b.opts.Retention.Milliseconds(), 10)
	}
	batch := strconv.Itoa(b.opts.topicBytes())
	_, err := b.admin.CreateTopic(ctx, w.partitions, b.opts.Replication, map[string]*string{
		"retention.ms": &retention, "max.message.bytes": &batch,
	}, w.name)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil // another process was faster
	}
	return err
}

// awaitTopics waits for what was just created: brokers learn of it one by one.
func (b *Broker) awaitTopics(ctx context.Context, names []string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := b.admin.ListEndOffsets(ctx, names...)
		missing, listErr := b.missing(ctx, names)
		if listErr != nil {
			return listErr
		}
		if err == nil && len(missing) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for topics that were created: %w", ctx.Err())
		}
	}
}

// requireRoom tells beforehand what would be refused when it is published.
func (b *Broker) requireRoom(ctx context.Context, names []string) error {
	configs, err := b.admin.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return err
	}
	var errs []error
	for _, config := range configs {
		for _, c := range config.Configs {
			limit, err := strconv.Atoi(c.MaybeValue())
			if c.Key == "max.message.bytes" && err == nil && limit < b.opts.batchBytes() {
				errs = append(errs, fmt.Errorf("topic %s accepts %d bytes (its max.message.bytes), less than max_message_bytes "+
					"and 64 KiB for key and headers, %d: raise the one or lower the other", config.Name, limit, b.opts.batchBytes()))
			}
		}
	}
	return errors.Join(errs...)
}

// ensureGroups commits a topic's start for each group that has committed nothing
// there, and so registers it.
func (b *Broker) ensureGroups(ctx context.Context, all []wanted) error {
	starts, err := b.admin.ListStartOffsets(ctx, namesOf(all)...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return err
	}
	for _, w := range all {
		for _, group := range w.groups {
			if err := b.ensureGroup(ctx, b.opts.groupName(group, w.topic), w.name, starts); err != nil {
				return fmt.Errorf("register group %q on %q: %w", group, w.topic, err)
			}
		}
	}
	return nil
}

func (b *Broker) ensureGroup(ctx context.Context, group, name string, starts kadm.ListedOffsets) error {
	committed, err := b.committed(ctx, group, name)
	if err != nil {
		return err
	}
	fresh := starts.Offsets()
	fresh.KeepFunc(func(o kadm.Offset) bool {
		_, known := committed[o.Partition]
		return o.Topic == name && !known
	})
	if len(fresh[name]) == 0 {
		return nil
	}
	err = patiently(ctx, func() error {
		done, err := b.admin.CommitOffsets(ctx, group, fresh)
		return cmp.Or(err, done.Error())
	})
	if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.RebalanceInProgress) {
		return nil // it has consumers, which begin new partitions at the start
	}
	return err
}

// committed returns what a group has committed of a topic, by partition. What it
// has not is absent.
func (b *Broker) committed(ctx context.Context, group, name string) (map[int32]int64, error) {
	var offsets kadm.OffsetResponses
	err := patiently(ctx, func() (err error) {
		offsets, err = b.admin.FetchOffsets(ctx, group)
		return cmp.Or(err, offsets.Error())
	})
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	committed := map[int32]int64{}
	for partition, o := range offsets[name] {
		if o.At >= 0 {
			committed[partition] = o.At
		}
	}
	return committed, nil
}

// patiently tries again while the broker says that it may help, as with the first
// group of all, when it makes the topic that groups are kept in.
func patiently(ctx context.Context, call func() error) error {
	for tries := 0; ; tries++ {
		err := call()
		if !kerr.IsRetriable(err) || errors.Is(err, kerr.RebalanceInProgress) {
			return err
		}
		timer := time.NewTimer(retryBackoff(tries))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

func namesOf(all []wanted) []string {
	names := make([]string, len(all))
	for i, w := range all {
		names[i] = w.name
	}
	return names
}
