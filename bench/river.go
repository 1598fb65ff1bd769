package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"lectern/bench/compare"
	"lectern/domain"
)

// riverJob is our job as River takes it.
type riverJob struct {
	CourseID uuid.UUID `json:"course_id"`
}

// Kind implements river.JobArgs.
func (riverJob) Kind() string { return string(domain.QueueStructureAnalysis) }

// riverCommand does with River what a command of ours does: a key that is
// claimed, a new state with its check, a job, the events of both and the stored
// answer, in one transaction.
type riverCommand struct {
	client *river.Client[pgx.Tx]
	caller domain.Identity
	course uuid.UUID
}

func (s *server) riverCommands(ctx context.Context, ops int) (compare.Op, error) {
	client, err := river.NewClient(riverpgxv5.New(s.peer), &river.Config{}) // which inserts alone: it has no workers
	if err != nil {
		return nil, fmt.Errorf("make River's client: %w", err)
	}
	caller := domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	courses, err := s.insertCourses(ctx, "peer.courses", caller, ops)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, i int) error {
		return pgx.BeginFunc(ctx, s.peer, riverCommand{client, caller, courses[i]}.run(ctx))
	}, nil
}

func (c riverCommand) run(ctx context.Context) func(pgx.Tx) error {
	return func(tx pgx.Tx) error {
		if err := c.claimKey(ctx, tx); err != nil {
			return err
		}
		state, err := c.moveCourse(ctx, tx)
		if err != nil {
			return err
		}
		inserted, err := c.client.InsertManyTx(ctx, tx, []river.InsertManyParams{{Args: riverJob{c.course}}})
		if err != nil {
			return fmt.Errorf("insert job: %w", err)
		}
		entry := map[string]any{
			"job_id": inserted[0].Job.ID, "queue_name": inserted[0].Job.Kind, "created_at": inserted[0].Job.CreatedAt,
		}
		if err := c.addEvents(ctx, tx, state, entry); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `update idempotency_keys set result = $3::jsonb, entity_id = $4 where organization_id = $1 and key = $2`,
			c.caller.OrganizationID, c.key(), map[string]any{"fsmState": state, "outboxEntries": []any{entry}}, c.course)
		return expectOne("store answer", tag, err)
	}
}

func (c riverCommand) key() string { return "start-" + c.course.String() }

// claimKey makes a second caller wait for the first, as ours does: with River
// alone, a unique key's insert is the way to that.
func (c riverCommand) claimKey(ctx context.Context, tx pgx.Tx) error {
	tag, err := tx.Exec(ctx, `insert into idempotency_keys (organization_id, key, fingerprint, expires_at)
		values ($1, $2, repeat('0', 64), now() + interval '24 hours') on conflict do nothing`, c.caller.OrganizationID, c.key())
	return expectOne("claim key", tag, err)
}

// addEvents tells of the course's new state and of its job, as ours does.
func (c riverCommand) addEvents(ctx context.Context, tx pgx.Tx, state domain.FSMState, entry map[string]any) error {
	_, err := tx.Exec(ctx, `insert into fsm_events (entity_id, event_no, event_type, event_data, created_by, user_id)
		values ($1, 1, 'FSM_INITIALIZED', $2::jsonb, $4, $5), ($1, 2, 'JOB_CREATED', $3::jsonb, $4, $5)`,
		c.course, state, entry, string(domain.ActorAPI), c.caller.UserID)
	if err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	return nil
}

func (c riverCommand) moveCourse(ctx context.Context, tx pgx.Tx) (domain.FSMState, error) {
	next := domain.FSMState{CourseID: c.course, State: domain.StateStage4Init, CreatedBy: domain.ActorAPI}
	var state string
	err := tx.QueryRow(ctx, `select generation_status, status_version + 1, now() from courses where id = $1 for update`,
		c.course).Scan(&state, &next.Version, &next.CreatedAt)
	if err != nil {
		return next, fmt.Errorf("lock course: %w", err)
	}
	if state != string(domain.StatePending) {
		return next, fmt.Errorf("the course is %s", state)
	}
	tag, err := tx.Exec(ctx, `update courses set generation_status = $2, status_version = $3, updated_at = now() where id = $1`,
		c.course, string(next.State), next.Version)
	return next, expectOne("update course", tag, err)
}
