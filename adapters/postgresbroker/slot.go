package postgresbroker

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
)

// A slot handles one message of a subscription at a time. It is what a stock
// subscriber is made of: its database, its queries and its pauses.
//
// The stock subscriber works in rounds, each from BeginTx to HandleError, in
// one goroutine: take the turn, claim a row, hand it out (forward, which passes
// the turn on), wait for the outcome and store it.
type slot struct {
	*sql.DB
	queries
	sub *subscription

	// Of the stock subscriber's goroutine. forward reads what was claimed
	// while that one waits for it.
	inRound bool
	claimed *delivery

	hasTurn atomic.Bool
}

var (
	_ wsql.Beginner       = (*slot)(nil)
	_ wsql.SchemaAdapter  = (*slot)(nil)
	_ wsql.BackoffManager = (*slot)(nil)
)

// BeginTx implements wsql.Beginner. It begins a round.
func (s *slot) BeginTx(ctx context.Context, _ *sql.TxOptions) (*sql.Tx, error) {
	if err := s.sub.takeTurn(ctx); err != nil {
		return nil, err
	}
	s.inRound = true
	s.hasTurn.Store(true)
	return s.DB.BeginTx(ctx, nil)
}

// SelectQuery implements wsql.SchemaAdapter. It claims a row.
func (s *slot) SelectQuery(topic, group string, _ wsql.OffsetsAdapter) wsql.Query {
	return s.claim(topic, group)
}

// UnmarshalMessage implements wsql.SchemaAdapter.
func (s *slot) UnmarshalMessage(row wsql.Scanner) (wsql.Row, error) {
	d, m, err := scan(row)
	if err != nil {
		return wsql.Row{}, err
	}
	s.claimed = d
	s.sub.began(d)
	// An offset of 0 would never be acknowledged. Nobody reads it otherwise.
	return wsql.Row{Offset: 1, Msg: m, ExtraData: map[string]any{deliveryKey: d}}, nil
}

// forward hands out what the stock subscriber claimed, and acks there once the
// outcome is known, whatever it is: see AckMessageQuery.
func (s *slot) forward(claimed <-chan *message.Message) {
	for m := range claimed {
		s.claimed.outcome = s.sub.settle(s.claimed, m, s.passTurn)
		m.Ack()
	}
}

// HandleError implements wsql.BackoffManager. It ends a round; its pause is in
// takeTurn, where a signal can end it.
func (s *slot) HandleError(_ watermill.LoggerAdapter, _ bool, err error) time.Duration {
	if !s.inRound {
		return 0 // the end of the subscription
	}
	s.inRound = false
	s.sub.ended(s.claimed, err)
	s.claimed = nil
	s.passTurn()
	s.sub.rounds.Done()
	return 0
}

func (s *slot) passTurn() {
	if s.hasTurn.CompareAndSwap(true, false) {
		s.sub.passTurn()
	}
}
