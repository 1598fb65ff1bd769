package connectapi

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/app"
	"lectern/domain"
)

// defaultEntries is how many entries a page has unless the caller says.
const defaultEntries = 100

// outboxService serves OutboxService. Its requests have passed validation.
type outboxService struct{ outbox Outbox }

var _ lecternv1connect.OutboxServiceHandler = outboxService{}

// ListEntries implements lecternv1connect.OutboxServiceHandler.
func (s outboxService) ListEntries(
	ctx context.Context, req *connect.Request[lecternv1.ListEntriesRequest],
) (*connect.Response[lecternv1.ListEntriesResponse], error) {
	var before uuid.UUID
	if token := req.Msg.GetPageToken(); token != "" {
		id, err := parseID("page_token", token)
		if err != nil {
			return nil, err
		}
		before = id
	}
	filter, err := entryFilter(req.Msg.GetFilter())
	if err != nil {
		return nil, err
	}
	size := int(req.Msg.GetPageSize())
	if size == 0 {
		size = defaultEntries
	}
	// One more than asked for tells whether there is a next page.
	entries, err := s.outbox.List(ctx, caller(ctx), filter, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list entries: %w", err)
	}
	page := &lecternv1.ListEntriesResponse{}
	if len(entries) > size {
		entries = entries[:size]
		page.NextPageToken = entries[size-1].ID.String()
	}
	page.Entries = each(entries, outboxEntryToProto)
	return connect.NewResponse(page), nil
}

// GetEntry implements lecternv1connect.OutboxServiceHandler.
func (s outboxService) GetEntry(
	ctx context.Context, req *connect.Request[lecternv1.GetEntryRequest],
) (*connect.Response[lecternv1.GetEntryResponse], error) {
	id, err := parseID("outbox_id", req.Msg.GetOutboxId())
	if err != nil {
		return nil, err
	}
	e, err := s.outbox.Get(ctx, caller(ctx), id)
	if err != nil {
		return nil, fmt.Errorf("get entry: %w", err)
	}
	entry := outboxEntryToProto(e)
	if entry.Data, err = structFromJSON(e.Data); err != nil {
		return nil, fmt.Errorf("read data of entry %s: %w", e.ID, err)
	}
	entry.Options = &lecternv1.JobOptions{
		MaxAttempts: int32(e.Options.MaxAttempts), NotBefore: timeToProto(e.Options.NotBefore), Priority: int32(e.Options.Priority),
	}
	return connect.NewResponse(&lecternv1.GetEntryResponse{Entry: entry}), nil
}

// RedriveEntries implements lecternv1connect.OutboxServiceHandler.
func (s outboxService) RedriveEntries(
	ctx context.Context, req *connect.Request[lecternv1.RedriveEntriesRequest],
) (*connect.Response[lecternv1.RedriveEntriesResponse], error) {
	choice, err := deadChoice(req.Msg)
	if err != nil {
		return nil, err
	}
	verdicts, err := s.outbox.Redrive(ctx, caller(ctx), choice)
	if err != nil {
		return nil, fmt.Errorf("redrive entries: %w", err)
	}
	return connect.NewResponse(&lecternv1.RedriveEntriesResponse{Results: each(verdicts, verdictToProto)}), nil
}

// DiscardEntries implements lecternv1connect.OutboxServiceHandler.
func (s outboxService) DiscardEntries(
	ctx context.Context, req *connect.Request[lecternv1.DiscardEntriesRequest],
) (*connect.Response[lecternv1.DiscardEntriesResponse], error) {
	choice, err := deadChoice(req.Msg)
	if err != nil {
		return nil, err
	}
	verdicts, err := s.outbox.Discard(ctx, caller(ctx), choice, req.Msg.GetReason())
	if err != nil {
		return nil, fmt.Errorf("discard entries: %w", err)
	}
	return connect.NewResponse(&lecternv1.DiscardEntriesResponse{Results: each(verdicts, verdictToProto)}), nil
}

// GetStats implements lecternv1connect.OutboxServiceHandler.
func (s outboxService) GetStats(
	ctx context.Context, _ *connect.Request[lecternv1.GetStatsRequest],
) (*connect.Response[lecternv1.GetStatsResponse], error) {
	counts, err := s.outbox.Count(ctx, caller(ctx))
	if err != nil {
		return nil, fmt.Errorf("count entries: %w", err)
	}
	return connect.NewResponse(&lecternv1.GetStatsResponse{Counts: each(counts, countToProto)}), nil
}

func countToProto(c domain.EntryCount) *lecternv1.EntryCount {
	return &lecternv1.EntryCount{
		Queue: QueueToProto(c.Queue), State: EntryStateToProto(c.State), Entries: c.Entries, OldestCreatedAt: timestamppb.New(c.Oldest),
	}
}

// choosing is a request that chooses dead entries.
type choosing interface {
	GetOutboxIds() []string
	GetFilter() *lecternv1.EntryFilter
	GetDryRun() bool
}

func deadChoice(r choosing) (app.DeadChoice, error) {
	filter, err := entryFilter(r.GetFilter())
	if err != nil {
		return app.DeadChoice{}, err
	}
	choice := app.DeadChoice{Filter: filter, DryRun: r.GetDryRun()}
	for i, s := range r.GetOutboxIds() {
		id, err := parseID(fmt.Sprintf("outbox_ids[%d]", i), s)
		if err != nil {
			return app.DeadChoice{}, err
		}
		choice.IDs = append(choice.IDs, id)
	}
	return choice, nil
}

func entryFilter(f *lecternv1.EntryFilter) (domain.EntryFilter, error) {
	filter := domain.EntryFilter{
		Queue:       QueueFromProto(f.GetQueue()),
		States:      each(f.GetStates(), EntryStateFromProto),
		OlderThan:   f.GetOlderThan().AsDuration(),
		YoungerThan: f.GetYoungerThan().AsDuration(),
	}
	if f.GetCourseId() != "" {
		id, err := parseID("filter.course_id", f.GetCourseId())
		if err != nil {
			return domain.EntryFilter{}, err
		}
		filter.CourseID = id
	}
	return filter, nil
}

func outboxEntryToProto(e domain.OutboxEntry) *lecternv1.OutboxEntry {
	return &lecternv1.OutboxEntry{
		OutboxId:      e.ID.String(),
		CourseId:      e.CourseID.String(),
		Run:           int32(e.Run),
		Queue:         QueueToProto(e.Queue),
		State:         EntryStateToProto(e.State()),
		CreatedAt:     timestamppb.New(e.CreatedAt),
		Attempts:      int32(e.Attempts),
		LastError:     e.LastError,
		NextAttemptAt: timeToProto(e.NextAttemptAt),
		ProcessedAt:   timeToProto(e.ProcessedAt),
		DeadAt:        timeToProto(e.DeadAt),
		DiscardedAt:   timeToProto(e.DiscardedAt),
		Seq:           e.Seq,
	}
}

func verdictToProto(v domain.EntryVerdict) *lecternv1.EntryResult {
	result := &lecternv1.EntryResult{OutboxId: v.ID.String(), Refusal: string(v.Refusal), Message: v.Message}
	if v.CourseID != uuid.Nil {
		result.CourseId = v.CourseID.String()
	}
	return result
}

// timeToProto returns nil for no time.
func timeToProto(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
