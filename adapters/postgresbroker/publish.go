package postgresbroker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	wsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5/pgconn"

	"lectern/ports"
)

// One statement, and so one transaction: a row for each group and message, in
// the messages' order, and one notification. It returns the number of groups.
const publishSQL = `
WITH target AS (
	SELECT group_name FROM {schema}.subscriptions WHERE topic = $1
), batch AS (
	INSERT INTO {schema}.messages (topic, group_name, uuid, payload, metadata)
	SELECT $1, group_name, uuid, payload, metadata::json
	FROM unnest($2::text[], $3::bytea[], $4::text[]) WITH ORDINALITY AS m (uuid, payload, metadata, n), target
	ORDER BY n
)
SELECT count(*), pg_notify($5, $1) FROM target`

// Publish implements message.Publisher. The batch is one statement: but for
// what is refused beforehand, it succeeds or fails as one, within the timeout.
func (b *Broker) Publish(topic string, msgs ...*message.Message) error {
	fit, failed := ports.CheckBatch(b.opts.MaxMessageBytes, msgs)
	if len(fit) == 0 {
		return failed.OrNil()
	}
	if failure, err := b.insert(topic, fit); err != nil {
		failed.Add(failure, fmt.Errorf("publish to %q: %w", topic, err), fit...)
		return failed
	}
	b.signals.wake(topic)
	return failed.OrNil()
}

func (b *Broker) insert(topic string, msgs message.Messages) (ports.PublishFailure, error) {
	if b.isClosed() {
		return ports.Unavailable, errClosed
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.opts.Timeout)
	defer cancel()
	query, err := b.queries.InsertQuery(topic, msgs)
	if err != nil {
		return ports.Refused, err
	}
	var groups int
	if err := b.pool.QueryRow(ctx, query.Query, query.Args...).Scan(&groups, nil); err != nil {
		return classify(err), err
	}
	if groups == 0 {
		return ports.Refused, errors.New("no group consumes the topic: register both with Prepare")
	}
	return 0, nil
}

// InsertQuery implements wsql.SchemaAdapter. Publish executes it itself: the
// stock publisher has no deadline and can't tell an unknown topic.
func (q queries) InsertQuery(topic string, msgs message.Messages) (wsql.Query, error) {
	uuids, payloads, metadata := make([]string, len(msgs)), make([][]byte, len(msgs)), make([]string, len(msgs))
	for i, m := range msgs {
		encoded, err := json.Marshal(m.Metadata)
		if err != nil {
			return wsql.Query{}, fmt.Errorf("encode metadata of %s: %w", m.UUID, err)
		}
		uuids[i], payloads[i], metadata[i] = m.UUID, m.Payload, string(encoded)
		if payloads[i] == nil {
			payloads[i] = []byte{} // nil would be null
		}
	}
	return wsql.Query{
		Query: q.schema.in(publishSQL),
		Args:  []any{topic, uuids, payloads, metadata, string(q.schema)},
	}, nil
}

// classify tells how a batch failed. Only what the server says of the data
// itself is the messages' fault; a schema that is missing or forbidden is the
// operator's, and no reason to give up a single message.
func classify(err error) ports.PublishFailure {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return ports.Unavailable
	}
	const dataException, constraint = "22", "23"
	if strings.HasPrefix(server.Code, dataException) || strings.HasPrefix(server.Code, constraint) {
		return ports.Retryable
	}
	return ports.Unavailable
}
