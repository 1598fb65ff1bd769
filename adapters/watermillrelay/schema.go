package watermillrelay

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"

	"lectern/domain"
)

var (
	_ watermillsql.SchemaAdapter  = (*looks)(nil)
	_ watermillsql.OffsetsAdapter = (*looks)(nil)
)

// batchOf is where a row's ExtraData has its batch.
const batchOf = "batch"

// SelectQuery returns the query for what is ready; for nothing, while another
// relay reads, or when this one stops. It follows no cursor: see the docs.
func (l *looks) SelectQuery(string, string, watermillsql.OffsetsAdapter) watermillsql.Query {
	limit := l.stream.opts.BatchSize
	if !l.locked {
		limit = 0
	}
	return watermillsql.Query{
		// The predicate is that of the index job_outbox_ready.
		Query: `select to_jsonb(o) from lectern.job_outbox o
			where processed_at is null and dead_at is null and parked is null order by seq limit $1`,
		Args: []any{limit},
	}
}

// UnmarshalMessage makes a row of an entry. Its offset is the entry's number,
// which is never 0: that one would not be acknowledged.
func (l *looks) UnmarshalMessage(row watermillsql.Scanner) (watermillsql.Row, error) {
	var text []byte
	if err := row.Scan(&text); err != nil {
		return watermillsql.Row{}, fmt.Errorf("scan outbox entry: %w", err)
	}
	var e domain.OutboxEntry
	if err := json.Unmarshal(text, &e); err != nil {
		return watermillsql.Row{}, fmt.Errorf("decode outbox entry: %w", err)
	}
	l.batch.add(e)
	return watermillsql.Row{
		Offset: e.Seq, Msg: message.NewMessage(e.ID.String(), text), ExtraData: map[string]any{batchOf: l.batch},
	}, nil
}

// AckMessageQuery returns the query that settles the batch of the last row that
// was acked. It names the published by number, and the failed by id.
func (l *looks) AckMessageQuery(_ string, last watermillsql.Row, _ string) watermillsql.Query {
	b, ok := last.ExtraData[batchOf].(*batch)
	if !ok {
		b = newBatch() // settles nothing
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return watermillsql.Query{
		Query: `select lectern.settle_stream($1, $2, $3, $4)`,
		Args:  []any{b.seqs, b.retry, b.dead, b.holdDead},
	}
}

// ConsumedMessageQuery returns none: what it changed would stand although nobody
// acked.
func (l *looks) ConsumedMessageQuery(string, watermillsql.Row, string, []byte) watermillsql.Query {
	return watermillsql.Query{}
}

// NextOffsetQuery returns none: entries are marked, not passed.
func (l *looks) NextOffsetQuery(string, string) watermillsql.Query { return watermillsql.Query{} }

// BeforeSubscribingQueries returns none.
func (l *looks) BeforeSubscribingQueries(string, string) []watermillsql.Query { return nil }

// SchemaInitializingQueries returns none: the schema is of our migrations.
func (l *looks) SchemaInitializingQueries(string) []watermillsql.Query { return nil }

// SubscribeIsolationLevel is READ COMMITTED: see BeginTx.
func (l *looks) SubscribeIsolationLevel() sql.IsolationLevel { return sql.LevelReadCommitted }

// InsertQuery is refused: commands alone write entries.
func (l *looks) InsertQuery(string, message.Messages) (watermillsql.Query, error) {
	return watermillsql.Query{}, errors.New("the outbox is not written to by the stream")
}
