package postgresbroker

import (
	"database/sql"
	"encoding/json"
	"fmt"

	wsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
)

// What is due (again) goes before what is fresh: it is older, and its delay
// keeps it rare. Rows that others are claiming are skipped.
const claimSQL = `
WITH due AS (
	SELECT seq FROM {schema}.messages
	WHERE topic = $1 AND group_name = $2 AND due_at <= now()
	ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
), fresh AS (
	SELECT seq FROM {schema}.messages
	WHERE topic = $1 AND group_name = $2 AND due_at IS NULL AND NOT EXISTS (SELECT FROM due)
	ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.messages
SET due_at = now() + make_interval(secs => $3), holder = $4, attempts = attempts + 1
WHERE topic = $1 AND group_name = $2 AND seq = (SELECT seq FROM due UNION ALL SELECT seq FROM fresh)
RETURNING seq, uuid, payload, metadata, attempts`

// An ack counts even when the lease is lost: the work is done. The others are
// the holder's alone.
const (
	ackSQL  = `DELETE FROM {schema}.messages WHERE topic = $1 AND group_name = $2 AND seq = $3`
	nackSQL = `
UPDATE {schema}.messages
SET due_at = now() + make_interval(secs => $5), holder = NULL
WHERE topic = $1 AND group_name = $2 AND seq = $3 AND holder = $4`
	giveBackSQL = `
UPDATE {schema}.messages
SET due_at = CASE WHEN attempts > 1 THEN now() END, attempts = attempts - 1, holder = NULL
WHERE topic = $1 AND group_name = $2 AND seq = $3 AND holder = $4`
	extendSQL = `
UPDATE {schema}.messages AS m
SET due_at = now() + make_interval(secs => $4)
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS held (topic, group_name, seq)
WHERE m.topic = held.topic AND m.group_name = held.group_name AND m.seq = held.seq AND m.holder = $5`
)

// delivery is a claimed row, from its claim until its outcome is stored.
type delivery struct {
	seq        int64
	attempts   int    // this one included
	unreadable string // why it is no message; empty when it is one
	outcome    outcome
}

type outcome int

const (
	acked outcome = iota + 1 // or buried
	nacked
	givenBack // never handed out
)

// queries are the statements that the stock subscriber executes, as far as
// they need nothing of a slot.
type queries struct {
	schema schema
	opts   Options
	holder string
}

var _ wsql.OffsetsAdapter = queries{}

// claim asks for one row: see claimSQL.
func (q queries) claim(topic, group string) wsql.Query {
	return wsql.Query{Query: q.schema.in(claimSQL), Args: []any{topic, group, q.opts.Lease.Seconds(), q.holder}}
}

// scan reads a claimed row. An error would keep the subscriber at a row that
// can't be read, so there is none: the delivery says what is wrong.
func scan(row wsql.Scanner) (*delivery, *message.Message, error) {
	var (
		d                 delivery
		uuid              string
		payload, metadata []byte
	)
	if err := row.Scan(&d.seq, &uuid, &payload, &metadata, &d.attempts); err != nil {
		return nil, nil, err
	}
	m := message.NewMessage(uuid, payload)
	var readable bool
	if m.Metadata, readable = texts(metadata); !readable {
		d.unreadable = fmt.Sprintf("its metadata is not an object of texts but %s", metadata)
	}
	return &d, m, nil
}

func texts(metadata []byte) (message.Metadata, bool) {
	var decoded message.Metadata
	if json.Unmarshal(metadata, &decoded) != nil || decoded == nil {
		return message.Metadata{}, false
	}
	return decoded, true
}

// AckMessageQuery implements wsql.OffsetsAdapter: it stores an outcome, which
// need not be an ack. Its row is the last that the stock subscriber had acked;
// since a claim is one row, that is all of them.
func (q queries) AckMessageQuery(topic string, row wsql.Row, group string) wsql.Query {
	d, ok := row.ExtraData[deliveryKey].(*delivery)
	if !ok {
		return wsql.Query{}
	}
	args := []any{topic, group, d.seq, q.holder}
	switch d.outcome {
	case acked:
		return wsql.Query{Query: q.schema.in(ackSQL), Args: args[:3]}
	case givenBack:
		return wsql.Query{Query: q.schema.in(giveBackSQL), Args: args}
	default:
		delay := q.opts.retryDelay(d.attempts)
		return wsql.Query{Query: q.schema.in(nackSQL), Args: append(args, delay.Seconds())}
	}
}

// deliveryKey is where a row keeps its delivery.
const deliveryKey = "delivery"

// ConsumedMessageQuery implements wsql.OffsetsAdapter with none: what it
// changed would stand whether or not the handler acks.
func (queries) ConsumedMessageQuery(string, wsql.Row, string, []byte) wsql.Query {
	return wsql.Query{}
}

// NextOffsetQuery implements wsql.OffsetsAdapter with none: there are no offsets.
func (queries) NextOffsetQuery(string, string) wsql.Query { return wsql.Query{} }

// BeforeSubscribingQueries implements wsql.OffsetsAdapter with none: see Prepare.
func (queries) BeforeSubscribingQueries(string, string) []wsql.Query { return nil }

// SchemaInitializingQueries implements both adapters with none: see Prepare.
func (queries) SchemaInitializingQueries(string) []wsql.Query { return nil }

// SubscribeIsolationLevel implements wsql.SchemaAdapter: SKIP LOCKED needs no more.
func (queries) SubscribeIsolationLevel() sql.IsolationLevel { return sql.LevelReadCommitted }
