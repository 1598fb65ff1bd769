package connectapi_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
	"lectern/app"
	"lectern/domain"
)

// fakeOutbox does what the test says.
type fakeOutbox struct {
	list    func(domain.EntryFilter, uuid.UUID, int) []domain.OutboxEntry
	get     func(uuid.UUID) (domain.OutboxEntry, error)
	count   func() ([]domain.EntryCount, error)
	redrive func(app.DeadChoice) []domain.EntryVerdict
	discard func(app.DeadChoice, string) []domain.EntryVerdict
}

var _ connectapi.Outbox = fakeOutbox{}

var errStranger = errors.New("not the caller")

func mine(c domain.Identity) error {
	if c != me() {
		return errStranger
	}
	return nil
}

func (f fakeOutbox) List(_ context.Context, c domain.Identity, e domain.EntryFilter, before uuid.UUID, limit int) ([]domain.OutboxEntry, error) {
	return f.list(e, before, limit), mine(c)
}

func (f fakeOutbox) Get(_ context.Context, c domain.Identity, id uuid.UUID) (domain.OutboxEntry, error) {
	e, err := f.get(id)
	return e, errors.Join(err, mine(c))
}

func (f fakeOutbox) Count(_ context.Context, c domain.Identity) ([]domain.EntryCount, error) {
	counts, err := f.count()
	return counts, errors.Join(err, mine(c))
}

func (f fakeOutbox) Redrive(_ context.Context, c domain.Identity, choice app.DeadChoice) ([]domain.EntryVerdict, error) {
	return f.redrive(choice), mine(c)
}

func (f fakeOutbox) Discard(_ context.Context, c domain.Identity, choice app.DeadChoice, reason string) ([]domain.EntryVerdict, error) {
	return f.discard(choice, reason), mine(c)
}

func outboxClient(t *testing.T, f fakeOutbox) lecternv1connect.OutboxServiceClient {
	t.Helper()
	p := protocols()[0]
	return lecternv1connect.NewOutboxServiceClient(p.httpClient(t), start(t, connectapi.Config{Outbox: f}).url, p.options...)
}

func deadEntry() domain.OutboxEntry {
	at := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	return domain.OutboxEntry{
		ID: uuid.New(), CourseID: uuid.New(), Run: 2, Queue: domain.QueueSummarization, Seq: 7, CreatedAt: at, DeadAt: &at,
		Attempts: 5, LastError: "too large", Data: []byte(`{"course_id": "x"}`), Options: domain.JobOptions{MaxAttempts: 3, NotBefore: &at, Priority: 7},
	}
}

func TestEntriesArePagedByTheirIDs(t *testing.T) {
	t.Parallel()
	all := []domain.OutboxEntry{deadEntry(), deadEntry(), deadEntry()}
	course := uuid.New()
	c := outboxClient(t, fakeOutbox{list: func(f domain.EntryFilter, before uuid.UUID, limit int) []domain.OutboxEntry {
		require.Equal(t, domain.EntryFilter{
			CourseID: course, Queue: domain.QueueSummarization, States: []domain.EntryState{domain.EntryDead, domain.EntryBackoff},
			OlderThan: time.Minute, YoungerThan: time.Hour,
		}, f)
		require.Equal(t, 3, limit) // one more than asked for
		if before == all[1].ID {
			return all[2:]
		}
		require.Equal(t, uuid.Nil, before)
		return all
	}})
	request := &lecternv1.ListEntriesRequest{PageSize: 2, Filter: &lecternv1.EntryFilter{
		CourseId: course.String(), Queue: lecternv1.Queue_QUEUE_SUMMARIZATION,
		States:    []lecternv1.EntryState{lecternv1.EntryState_ENTRY_STATE_DEAD, lecternv1.EntryState_ENTRY_STATE_BACKOFF},
		OlderThan: durationpb.New(time.Minute), YoungerThan: durationpb.New(time.Hour),
	}}
	first, err := c.ListEntries(t.Context(), connect.NewRequest(request))
	require.NoError(t, err)
	require.Len(t, first.Msg.GetEntries(), 2)
	require.Equal(t, all[1].ID.String(), first.Msg.GetNextPageToken())
	request.PageToken = first.Msg.GetNextPageToken()
	last, err := c.ListEntries(t.Context(), connect.NewRequest(request))
	require.NoError(t, err)
	require.Len(t, last.Msg.GetEntries(), 1)
	require.Empty(t, last.Msg.GetNextPageToken())
}

func TestAnEntryIsShownWithItsJob(t *testing.T) {
	t.Parallel()
	e := deadEntry()
	c := outboxClient(t, fakeOutbox{get: func(id uuid.UUID) (domain.OutboxEntry, error) {
		if id != e.ID {
			return domain.OutboxEntry{}, domain.Errorf(domain.ReasonEntryNotFound, "there is no outbox entry %s", id)
		}
		return e, nil
	}})
	got, err := c.GetEntry(t.Context(), connect.NewRequest(&lecternv1.GetEntryRequest{OutboxId: e.ID.String()}))
	require.NoError(t, err)
	shown := got.Msg.GetEntry()
	require.Equal(t, lecternv1.EntryState_ENTRY_STATE_DEAD, shown.GetState())
	require.Equal(t, "too large", shown.GetLastError())
	require.Equal(t, e.CourseID.String(), shown.GetCourseId())
	require.Equal(t, *e.DeadAt, shown.GetDeadAt().AsTime())
	require.Nil(t, shown.GetProcessedAt())
	require.Equal(t, "x", shown.GetData().AsMap()["course_id"])
	require.Equal(t, int32(3), shown.GetOptions().GetMaxAttempts())
	require.Equal(t, int32(7), shown.GetOptions().GetPriority())
	require.Equal(t, *e.Options.NotBefore, shown.GetOptions().GetNotBefore().AsTime())

	_, err = c.GetEntry(t.Context(), connect.NewRequest(&lecternv1.GetEntryRequest{OutboxId: uuid.NewString()}))
	requireReason(t, err, connect.CodeNotFound, "ENTRY_NOT_FOUND", "")
}

func TestDecisionsAnswerForEachEntry(t *testing.T) {
	t.Parallel()
	done, refused := domain.EntryVerdict{ID: uuid.New(), CourseID: uuid.New()}, domain.EntryVerdict{
		ID: uuid.New(), Refusal: domain.ReasonEntryNotFound, Message: "there is no such entry",
	}
	c := outboxClient(t, fakeOutbox{
		redrive: func(choice app.DeadChoice) []domain.EntryVerdict {
			require.Equal(t, app.DeadChoice{IDs: []uuid.UUID{done.ID, refused.ID}, DryRun: true}, choice)
			return []domain.EntryVerdict{done, refused}
		},
		discard: func(choice app.DeadChoice, reason string) []domain.EntryVerdict {
			require.Equal(t, app.DeadChoice{Filter: domain.EntryFilter{CourseID: done.CourseID}}, choice)
			require.Equal(t, "broken", reason)
			return []domain.EntryVerdict{done}
		},
	})
	redriven, err := c.RedriveEntries(t.Context(), connect.NewRequest(&lecternv1.RedriveEntriesRequest{
		OutboxIds: []string{done.ID.String(), refused.ID.String()}, DryRun: true,
	}))
	require.NoError(t, err)
	results := redriven.Msg.GetResults()
	require.Len(t, results, 2)
	require.Equal(t, done.CourseID.String(), results[0].GetCourseId())
	require.Empty(t, results[0].GetRefusal())
	require.Empty(t, results[1].GetCourseId())
	require.Equal(t, "ENTRY_NOT_FOUND", results[1].GetRefusal())
	require.Equal(t, "there is no such entry", results[1].GetMessage())

	discarded, err := c.DiscardEntries(t.Context(), connect.NewRequest(&lecternv1.DiscardEntriesRequest{
		Filter: &lecternv1.EntryFilter{CourseId: done.CourseID.String()}, Reason: "broken",
	}))
	require.NoError(t, err)
	require.Len(t, discarded.Msg.GetResults(), 1)
}

func TestCountsAreByQueueAndState(t *testing.T) {
	t.Parallel()
	down := false
	c := outboxClient(t, fakeOutbox{count: func() ([]domain.EntryCount, error) {
		if down {
			return nil, domain.Errorf(domain.ReasonUnavailable, "the database can't be reached: try again")
		}
		return []domain.EntryCount{{Queue: domain.QueueSummarization, State: domain.EntryHeld, Entries: 9, Oldest: time.Unix(5, 0)}}, nil
	}})
	got, err := c.GetStats(t.Context(), connect.NewRequest(&lecternv1.GetStatsRequest{}))
	require.NoError(t, err)
	require.Len(t, got.Msg.GetCounts(), 1)
	require.Equal(t, int64(9), got.Msg.GetCounts()[0].GetEntries())
	require.Equal(t, lecternv1.EntryState_ENTRY_STATE_HELD, got.Msg.GetCounts()[0].GetState())
	down = true
	_, err = c.GetStats(t.Context(), connect.NewRequest(&lecternv1.GetStatsRequest{}))
	requireReason(t, err, connect.CodeUnavailable, "UNAVAILABLE", "")
}

func TestRequestsToTheOutboxThatBreakARuleAreRefusedByName(t *testing.T) {
	t.Parallel()
	c := outboxClient(t, fakeOutbox{})
	id, filter := uuid.NewString(), &lecternv1.EntryFilter{}
	dead := &lecternv1.EntryFilter{States: []lecternv1.EntryState{lecternv1.EntryState_ENTRY_STATE_READY}}
	redrive := func(r *lecternv1.RedriveEntriesRequest) error {
		_, err := c.RedriveEntries(t.Context(), connect.NewRequest(r))
		return err
	}
	discard := func(r *lecternv1.DiscardEntriesRequest) error {
		_, err := c.DiscardEntries(t.Context(), connect.NewRequest(r))
		return err
	}
	list := func(r *lecternv1.ListEntriesRequest) error {
		_, err := c.ListEntries(t.Context(), connect.NewRequest(r))
		return err
	}
	for field, errs := range map[string][]error{
		"":                    {redrive(&lecternv1.RedriveEntriesRequest{}), redrive(&lecternv1.RedriveEntriesRequest{OutboxIds: []string{id}, Filter: filter}), discard(&lecternv1.DiscardEntriesRequest{Reason: "x"})},
		"outbox_ids[0]":       {redrive(&lecternv1.RedriveEntriesRequest{OutboxIds: []string{"x"}}), discard(&lecternv1.DiscardEntriesRequest{OutboxIds: []string{"x"}, Reason: "x"})},
		"filter":              {redrive(&lecternv1.RedriveEntriesRequest{Filter: dead}), discard(&lecternv1.DiscardEntriesRequest{Filter: dead, Reason: "x"})},
		"reason":              {discard(&lecternv1.DiscardEntriesRequest{Filter: filter}), discard(&lecternv1.DiscardEntriesRequest{Filter: filter, Reason: " "}), discard(&lecternv1.DiscardEntriesRequest{Filter: filter, Reason: "a\x00"})},
		"page_size":           {list(&lecternv1.ListEntriesRequest{PageSize: 1001}), list(&lecternv1.ListEntriesRequest{PageSize: -1})},
		"page_token":          {list(&lecternv1.ListEntriesRequest{PageToken: "x"})},
		"filter.course_id":    {list(&lecternv1.ListEntriesRequest{Filter: &lecternv1.EntryFilter{CourseId: "x"}})},
		"filter.queue":        {list(&lecternv1.ListEntriesRequest{Filter: &lecternv1.EntryFilter{Queue: 99}})},
		"filter.states[0]":    {list(&lecternv1.ListEntriesRequest{Filter: &lecternv1.EntryFilter{States: []lecternv1.EntryState{0}}})},
		"filter.older_than":   {list(&lecternv1.ListEntriesRequest{Filter: &lecternv1.EntryFilter{OlderThan: durationpb.New(-1)}})},
		"filter.younger_than": {list(&lecternv1.ListEntriesRequest{Filter: &lecternv1.EntryFilter{YoungerThan: durationpb.New(0)}})},
	} {
		for _, err := range errs {
			requireReason(t, err, connect.CodeInvalidArgument, "INVALID_FIELD", field)
		}
	}
}
