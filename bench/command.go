package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"lectern/adapters/postgres"
	"lectern/bench/compare"
	"lectern/domain"
)

// clients is how many call at once, and the size of each pool.
const clients = 32

func (s *server) commandThroughput() compare.Bench {
	return compare.Bench{
		Name:    fmt.Sprintf("command, %d clients", clients),
		Against: "River's InsertManyTx in an equivalent transaction",
		Goal:    compare.AtLeast(2),
		Measure: compare.Throughput(clients, "commands/s"),
		Ops:     1500,
		Ours:    s.freshCommands,
		Peer:    s.riverCommands,
	}
}

func (s *server) commandLatency() compare.Bench {
	return compare.Bench{
		Name:    "command, 1 client",
		Against: "autocommit insert of one row",
		Goal:    compare.AtMost(2.5),
		Measure: compare.Latency(),
		Ops:     200,
		Ours:    s.freshCommands,
		Peer:    s.plainInserts,
	}
}

// freshCommands start a pending course each, with one job and a key of its own.
func (s *server) freshCommands(ctx context.Context, ops int) (compare.Op, error) {
	commands, err := s.makeCommands(ctx, ops)
	if err != nil {
		return nil, err
	}
	store := postgres.NewCommands(s.app)
	return func(ctx context.Context, i int) error {
		result, err := store.InitializeFSM(ctx, commands[i])
		if err == nil && result.FromCache {
			err = errors.New("a fresh command was answered by a replay")
		}
		return err
	}, nil
}

func (s *server) makeCommands(ctx context.Context, n int) ([]domain.InitializeFSMCommand, error) {
	caller := domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	courses, err := s.insertCourses(ctx, "lectern.courses", caller, n)
	if err != nil {
		return nil, err
	}
	commands := make([]domain.InitializeFSMCommand, n)
	for i, course := range courses {
		data, err := json.Marshal(domain.JobData{CourseID: course})
		if err != nil {
			return nil, fmt.Errorf("encode job: %w", err)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make job's id: %w", err)
		}
		commands[i], err = domain.NewInitializeFSMCommand("InitializeFSM", domain.InitializeFSMCommand{
			CourseID: course, Caller: caller, Key: domain.IdempotencyKey("start-" + course.String()),
			InitiatedBy: domain.ActorAPI, State: domain.StateStage4Init,
			Jobs: []domain.Job{{ID: id, Queue: domain.QueueStructureAnalysis, Data: data}},
		})
		if err != nil {
			return nil, fmt.Errorf("make command: %w", err)
		}
	}
	return commands, nil
}

// insertCourses adds n pending courses to a table like lectern.courses.
func (s *server) insertCourses(ctx context.Context, table string, caller domain.Identity, n int) ([]uuid.UUID, error) {
	ids, err := newIDs(n)
	if err != nil {
		return nil, err
	}
	_, err = s.admin.Exec(ctx, `insert into `+table+` (id, organization_id, user_id, title, slug, language, style)
		select id, $2, $3, 'Selling courses', 'selling-courses-' || id, 'en', 'practical' from unnest($1::uuid[]) as id`,
		ids, caller.OrganizationID, caller.UserID)
	if err != nil {
		return nil, fmt.Errorf("insert into %s: %w", table, err)
	}
	return ids, nil
}

func newIDs(n int) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, n)
	for i := range ids {
		var err error
		if ids[i], err = uuid.NewV7(); err != nil {
			return nil, fmt.Errorf("make id: %w", err)
		}
	}
	return ids, nil
}

// plainInserts are the least that a durable write through the same driver costs.
func (s *server) plainInserts(_ context.Context, ops int) (compare.Op, error) {
	ids, err := newIDs(ops)
	if err != nil {
		return nil, err
	}
	data := json.RawMessage(`{"course_id": "0198c5a4-0000-7000-8000-000000000000"}`)
	return func(ctx context.Context, i int) error {
		_, err := s.peer.Exec(ctx, `insert into plain (id, note, data) values ($1, $2, $3)`, ids[i], "structure-analysis", data)
		return err
	}, nil
}

// expectOne fails a peer's statement that did not have its effect.
func expectOne(what string, tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() != 1 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
