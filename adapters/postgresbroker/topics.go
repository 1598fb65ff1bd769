package postgresbroker

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"lectern/ports"
)

const topicsSQL = `
	SELECT t.topic, EXISTS (SELECT FROM {schema}.subscriptions s WHERE s.topic = t.topic), g.group_name,
		EXISTS (SELECT FROM {schema}.subscriptions s WHERE s.topic = t.topic AND s.group_name = g.group_name),
		(SELECT count(*) FROM {schema}.messages m WHERE m.topic = t.topic AND m.group_name = g.group_name)
	FROM unnest($1::text[]) WITH ORDINALITY AS t (topic, topic_no)
	LEFT JOIN unnest($2::text[]) WITH ORDINALITY AS g (group_name, group_no) ON true
	ORDER BY topic_no, group_no`

// Topics implements ports.Broker.
func (b *Broker) Topics(ctx context.Context, topics, groups []string) ([]ports.TopicState, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	states := make([]ports.TopicState, len(topics))
	for i, topic := range topics {
		states[i] = ports.TopicState{Topic: topic, Detail: fmt.Sprintf("rows of %s.messages", b.schema)}
	}
	var has bool
	if err := b.pool.QueryRow(ctx, hasTablesSQL, b.schema).Scan(&has); err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	if !has {
		for i := range states {
			for _, group := range groups {
				states[i].Groups = append(states[i].Groups, ports.GroupState{Group: group})
			}
		}
		return states, nil
	}
	rows, err := b.pool.Query(ctx, b.schema.in(topicsSQL), topics, groups)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var topic string
	var exists bool
	var group *string
	var state ports.GroupState
	next := 0
	_, err = pgx.ForEachRow(rows, []any{&topic, &exists, &group, &state.Exists, &state.Pending}, func() error {
		s := &states[next/max(1, len(groups))]
		next++
		s.Exists = exists
		if group != nil {
			state.Group = *group
			s.Groups = append(s.Groups, state)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return states, nil
}
