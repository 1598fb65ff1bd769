package connectapi

import (
	"context"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/app"
)

// command is what every idempotent command's request has.
type command interface {
	GetCourseId() string
	GetIdempotencyKey() string
}

func parseCommand(header http.Header, c command) (courseID uuid.UUID, key string, err error) {
	if courseID, err = parseID("course_id", c.GetCourseId()); err != nil {
		return uuid.Nil, "", err
	}
	key, err = requiredKey(header, c.GetIdempotencyKey())
	return courseID, key, err
}

// InitiateGeneration implements lecternv1connect.CourseServiceHandler.
func (s courseService) InitiateGeneration(
	ctx context.Context, req *connect.Request[lecternv1.InitiateGenerationRequest],
) (*connect.Response[lecternv1.InitiateGenerationResponse], error) {
	id, key, err := parseCommand(req.Header(), req.Msg)
	if err != nil {
		return nil, err
	}
	r, err := s.courses.InitiateGeneration(ctx, caller(ctx), id, key)
	if err != nil {
		return nil, fmt.Errorf("initiate generation: %w", err)
	}
	answer := &lecternv1.InitiateGenerationResponse{
		FsmState:      fsmStateToProto(r.FSMState),
		OutboxEntries: each(r.OutboxEntries, entryToProto),
		FromCache:     r.FromCache,
	}
	if len(r.OutboxEntries) > 0 {
		answer.JobId = r.OutboxEntries[0].ID.String()
	}
	return connect.NewResponse(answer), nil
}

// InitializeFSM implements lecternv1connect.CourseServiceHandler.
func (s courseService) InitializeFSM(
	ctx context.Context, req *connect.Request[lecternv1.InitializeFSMRequest],
) (*connect.Response[lecternv1.InitializeFSMResponse], error) {
	id, key, err := parseCommand(req.Header(), req.Msg)
	if err != nil {
		return nil, err
	}
	jobs, err := jobRequests(req.Msg.GetJobs())
	if err != nil {
		return nil, err
	}
	metadata, err := jsonFromStruct("metadata", req.Msg.GetMetadata())
	if err != nil {
		return nil, err
	}
	r, err := s.courses.InitializeFSM(ctx, caller(ctx), app.InitializeRequest{
		CourseID: id, Key: key, State: StateFromProto(req.Msg.GetState()), Jobs: jobs, Metadata: metadata,
	})
	if err != nil {
		return nil, fmt.Errorf("initialize fsm: %w", err)
	}
	return connect.NewResponse(&lecternv1.InitializeFSMResponse{
		FsmState:      fsmStateToProto(r.FSMState),
		OutboxEntries: each(r.OutboxEntries, entryToProto),
		FromCache:     r.FromCache,
	}), nil
}

// CancelGeneration implements lecternv1connect.CourseServiceHandler.
func (s courseService) CancelGeneration(
	ctx context.Context, req *connect.Request[lecternv1.CancelGenerationRequest],
) (*connect.Response[lecternv1.CancelGenerationResponse], error) {
	id, key, err := parseCommand(req.Header(), req.Msg)
	if err != nil {
		return nil, err
	}
	state, err := s.courses.Cancel(ctx, caller(ctx), id, key, req.Msg.GetReason())
	if err != nil {
		return nil, fmt.Errorf("cancel generation: %w", err)
	}
	return connect.NewResponse(&lecternv1.CancelGenerationResponse{FsmState: fsmStateToProto(state)}), nil
}

// RestartGeneration implements lecternv1connect.CourseServiceHandler.
func (s courseService) RestartGeneration(
	ctx context.Context, req *connect.Request[lecternv1.RestartGenerationRequest],
) (*connect.Response[lecternv1.RestartGenerationResponse], error) {
	id, key, err := parseCommand(req.Header(), req.Msg)
	if err != nil {
		return nil, err
	}
	state, err := s.courses.Restart(ctx, caller(ctx), id, key)
	if err != nil {
		return nil, fmt.Errorf("restart generation: %w", err)
	}
	return connect.NewResponse(&lecternv1.RestartGenerationResponse{FsmState: fsmStateToProto(state)}), nil
}
