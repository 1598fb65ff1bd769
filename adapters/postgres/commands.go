package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Commands = (*Commands)(nil)

// Commands implements ports.Commands: as the role lectern_app for callers, and
// InitializeFSM as lectern_worker for layers 2 and 3.
type Commands struct{ pool *pgxpool.Pool }

// NewCommands makes the command handler on a pool of either role.
func NewCommands(pool *pgxpool.Pool) *Commands { return &Commands{pool} }

// jobRow is a job as the schema's functions take it.
type jobRow struct {
	ID      uuid.UUID         `json:"outbox_id"`
	Queue   domain.Queue      `json:"queue"`
	Data    json.RawMessage   `json:"data"`
	Options domain.JobOptions `json:"options"`
}

func jobRows(jobs []domain.Job) []jobRow {
	rows := make([]jobRow, len(jobs))
	for i, j := range jobs {
		rows[i] = jobRow{j.ID, j.Queue, j.Data, j.Options}
	}
	return rows
}

// askAgain bounds how often a command is given whose key was stored by another
// caller in the meantime: see initialize_fsm_with_outbox.
const askAgain = 3

// InitializeFSM implements ports.Commands.
func (s *Commands) InitializeFSM(ctx context.Context, c domain.InitializeFSMCommand) (domain.InitializeFSMResult, error) {
	jobs, err := json.Marshal(jobRows(c.Jobs))
	if err != nil {
		return domain.InitializeFSMResult{}, fmt.Errorf("encode jobs: %w", err)
	}
	var run *int // whichever the course is on
	if c.Run != 0 {
		run = &c.Run
	}
	var text []byte
	var now time.Time
	for range askAgain {
		err = s.pool.QueryRow(ctx, `select lectern.initialize_fsm_with_outbox($1, $2, $3, $4, $5, $6, $7, $8, $9, $10), clock_timestamp()`,
			[16]byte(c.CourseID), [16]byte(c.Caller.UserID), [16]byte(c.Caller.OrganizationID), string(c.Key),
			string(c.InitiatedBy), string(c.State), string(jobs), c.Metadata, string(c.Fingerprint), run).Scan(&text, &now)
		if !keyTaken(err) {
			break
		}
	}
	if err != nil {
		return domain.InitializeFSMResult{}, fmt.Errorf("initialize fsm: %w", asDomain(err))
	}
	answer, err := decodeAnswer(text)
	if err != nil {
		return domain.InitializeFSMResult{}, fmt.Errorf("initialize fsm: %w", err)
	}
	answer.KeptFor = answer.KeptUntil.Sub(now)
	return stored(domain.NewInitializeFSMResult(answer.InitializeFSMResult))
}

// ChangeState implements ports.Commands.
func (s *Commands) ChangeState(ctx context.Context, c domain.ChangeStateCommand) (domain.FSMState, error) {
	var state domain.FSMState
	err := s.pool.QueryRow(ctx, `select lectern.change_course_state($1, $2, $3, $4, $5, $6, nullif($7, ''), $8)`,
		c.CourseID, c.Caller.UserID, c.Caller.OrganizationID, string(c.Key), string(c.InitiatedBy), string(c.State),
		c.Reason, string(c.Fingerprint)).Scan(&state)
	if err != nil {
		return domain.FSMState{}, fmt.Errorf("change state: %w", asDomain(err))
	}
	return stored(state, state.Validate())
}
