package main

import (
	"context"
	"errors"
	"fmt"

	"lectern/adapters/postgres"
	"lectern/bench/compare"
	"lectern/domain"
)

// replayed is how many keys have an answer that is asked for again and again.
const replayed = 1000

func (s *server) replayLatency() compare.Bench {
	var commands []domain.InitializeFSMCommand // whose answers both sides read
	return compare.Bench{
		Name:    "replay from the database, 1 client",
		Against: "select of the answer by primary key",
		Goal:    compare.AtMost(1.3),
		Measure: compare.Latency(),
		Ops:     500,
		Ours: func(ctx context.Context, _ int) (compare.Op, error) {
			var err error
			commands, err = s.answeredCommands(ctx)
			return s.replay(commands), err
		},
		Peer: func(ctx context.Context, _ int) (compare.Op, error) {
			return s.selectAnswer(commands), s.copyAnswers(ctx)
		},
	}
}

func (s *server) answeredCommands(ctx context.Context) ([]domain.InitializeFSMCommand, error) {
	commands, err := s.makeCommands(ctx, replayed)
	if err != nil {
		return nil, err
	}
	store := postgres.NewCommands(s.app)
	for _, c := range commands {
		if _, err := store.InitializeFSM(ctx, c); err != nil {
			return nil, err
		}
	}
	return commands, nil
}

func (s *server) replay(commands []domain.InitializeFSMCommand) compare.Op {
	store := postgres.NewCommands(s.app)
	return func(ctx context.Context, i int) error {
		result, err := store.InitializeFSM(ctx, commands[i%len(commands)])
		if err == nil && !result.FromCache {
			err = errors.New("a repeated command was no replay")
		}
		return err
	}
}

// copyAnswers gives the peer's table all keys and answers that ours has.
func (s *server) copyAnswers(ctx context.Context) error {
	_, err := s.admin.Exec(ctx, `insert into peer.answers
		select organization_id, key, result from lectern.idempotency_keys on conflict do nothing`)
	if err != nil {
		return fmt.Errorf("copy answers: %w", err)
	}
	return nil
}

func (s *server) selectAnswer(commands []domain.InitializeFSMCommand) compare.Op {
	return func(ctx context.Context, i int) error {
		c := commands[i%len(commands)]
		var result domain.InitializeFSMResult
		err := s.peer.QueryRow(ctx, `select result from answers where organization_id = $1 and key = $2`,
			c.Caller.OrganizationID, string(c.Key)).Scan(&result)
		if err == nil && result.FSMState.CourseID != c.CourseID {
			err = errors.New("the answer is another course's")
		}
		return err
	}
}
