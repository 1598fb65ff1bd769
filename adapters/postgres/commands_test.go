package postgres_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

func TestCommandCommitsStateEventsEntriesAndKeyTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	first, second := job(t, domain.QueueDocumentProcessing, c.ID), job(t, domain.QueueSummarization, c.ID)

	result, err := b.commands.InitializeFSM(t.Context(), b.command(t, c, "key-number-1", domain.StateStage2Init, first, second))
	require.NoError(t, err)
	require.False(t, result.FromCache)
	require.Equal(t, domain.StateStage2Init, result.FSMState.State)
	require.Equal(t, int64(1), result.FSMState.Version)
	require.Len(t, result.OutboxEntries, 2)
	require.Equal(t, first.ID, result.OutboxEntries[0].ID)

	c = b.reload(t, c)
	require.Equal(t, domain.StateStage2Init, c.State)
	require.Equal(t, int64(1), c.Version)
	entries, err := b.courses.Entries(t.Context(), b.caller, c.ID)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, domain.QueueDocumentProcessing, entries[0].Queue)
	require.JSONEq(t, string(first.Data), string(entries[0].Data))
	require.Equal(t, []domain.EventType{domain.EventFSMInitialized, domain.EventJobCreated, domain.EventJobCreated}, b.eventTypes(t, c))
}

func TestEntriesKeepTheOrderOfTheCommandsJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	jobs := make([]domain.Job, 500)
	for i := range jobs {
		jobs[len(jobs)-1-i] = job(t, domain.QueueDocumentProcessing, c.ID) // ids fall, the order must not follow them
	}
	entries := b.start(t, c, domain.StateStage2Init, jobs...)
	for i, e := range entries {
		require.Equal(t, jobs[i].ID, e.ID)
	}
}

func TestRepeatedKeyReplaysTheFirstAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	first, err := b.commands.InitializeFSM(t.Context(), b.command(t, c, "key-number-1", domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID)))
	require.NoError(t, err)
	before := b.rows(t)

	again, err := b.commands.InitializeFSM(t.Context(), b.command(t, c, "key-number-1", domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID)))
	require.NoError(t, err)
	require.True(t, again.FromCache)
	requireSameAnswer(t, first, again)
	require.Equal(t, before, b.rows(t))
}

// requireSameAnswer compares all but what differs between a first answer and a
// replay: where it came from, and how much longer it is kept.
func requireSameAnswer(t *testing.T, want, got domain.InitializeFSMResult) {
	t.Helper()
	got.FromCache, got.KeptFor = want.FromCache, want.KeptFor
	require.Equal(t, want, got)
}

func TestRefusedCommandLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	taken := job(t, domain.QueueStructureAnalysis, c.ID)
	other := b.course(t)
	b.start(t, other, domain.StateStage4Init, taken)
	_, err := b.commands.InitializeFSM(t.Context(), b.command(t, other, "key-in-use", domain.StateStage5Init))
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonIllegalTransition})

	tests := map[string]struct {
		change func(*domain.InitializeFSMCommand)
		want   domain.Reason
	}{
		"no such course":              {func(c *domain.InitializeFSMCommand) { c.CourseID = uuid.New() }, domain.ReasonCourseNotFound},
		"another organization":        {func(c *domain.InitializeFSMCommand) { c.Caller.OrganizationID = uuid.New() }, domain.ReasonForeignCourse},
		"not a state":                 {func(c *domain.InitializeFSMCommand) { c.State = "stage_9" }, domain.ReasonInvalidField},
		"illegal transition":          {func(c *domain.InitializeFSMCommand) { c.State = domain.StateStage3Init }, domain.ReasonIllegalTransition},
		"empty queue":                 {func(c *domain.InitializeFSMCommand) { c.Jobs[0].Queue = "" }, domain.ReasonInvalidField},
		"queue of 101 characters":     {func(c *domain.InitializeFSMCommand) { c.Jobs[0].Queue = domain.Queue(strings.Repeat("q", 101)) }, domain.ReasonInvalidField},
		"data that is not an object":  {func(c *domain.InitializeFSMCommand) { c.Jobs[0].Data = json.RawMessage(`[1]`) }, domain.ReasonInvalidField},
		"second job bad, first fine":  {func(c *domain.InitializeFSMCommand) { c.Jobs[1].Data = json.RawMessage(`"x"`) }, domain.ReasonInvalidField},
		"an outbox id that is taken":  {func(c *domain.InitializeFSMCommand) { c.Jobs[0].ID = taken.ID }, domain.ReasonDuplicateEntry},
		"the same outbox id twice":    {func(c *domain.InitializeFSMCommand) { c.Jobs[0].ID = c.Jobs[1].ID }, domain.ReasonDuplicateEntry},
		"a key of 7 characters":       {func(c *domain.InitializeFSMCommand) { c.Key = "1234567" }, domain.ReasonInvalidField},
		"a key of 256 characters":     {func(c *domain.InitializeFSMCommand) { c.Key = domain.IdempotencyKey(strings.Repeat("k", 256)) }, domain.ReasonInvalidField},
		"a course no longer pending":  {func(c *domain.InitializeFSMCommand) { c.CourseID = other.ID }, domain.ReasonIllegalTransition},
		"no organization in the call": {func(c *domain.InitializeFSMCommand) { c.Caller.OrganizationID = uuid.Nil }, domain.ReasonForeignCourse},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cmd := b.command(t, c, "key-number-1", domain.StateStage2Init,
				job(t, domain.QueueDocumentProcessing, c.ID), job(t, domain.QueueDocumentProcessing, c.ID))
			tt.change(&cmd)
			before := b.rows(t)
			_, err := b.commands.InitializeFSM(t.Context(), cmd)
			require.ErrorIs(t, err, &domain.Error{Reason: tt.want})
			require.Equal(t, before, b.rows(t))
			require.Equal(t, domain.StatePending, b.reload(t, c).State)
		})
	}
}

func TestSameKeyForAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.must(t, b.command(t, c, "key-number-1", domain.StateStage4Init))
	before := b.rows(t)
	_, err := b.commands.InitializeFSM(t.Context(), b.command(t, b.course(t), "key-number-1", domain.StateStage4Init))
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonIdempotencyReuse})
	before["courses"]++
	require.Equal(t, before, b.rows(t))
}

func (b *bundle) must(t *testing.T, c domain.InitializeFSMCommand) domain.InitializeFSMResult {
	t.Helper()
	r, err := b.commands.InitializeFSM(t.Context(), c)
	require.NoError(t, err)
	return r
}

func TestKeyOfAnAbortedCallIsFree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	bad := b.command(t, c, "key-number-1", domain.StateStage3Init)
	_, err := b.commands.InitializeFSM(t.Context(), bad)
	require.Error(t, err)
	require.False(t, b.must(t, b.command(t, c, "key-number-1", domain.StateStage4Init)).FromCache)
}

func TestExpiredKeyIsTakenOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(t, b.command(t, b.course(t), "key-number-1", domain.StateStage4Init))
	_, err := connect(t, b.db.Superuser).Exec(t.Context(),
		`update lectern.idempotency_keys set created_at = now() - interval '2 days', expires_at = now() - interval '1 day'`)
	require.NoError(t, err)
	require.False(t, b.must(t, b.command(t, b.course(t), "key-number-1", domain.StateStage5Init)).FromCache)
}

func TestCommandIsRefusedAtRepeatableRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.db.App)
	_, err := conn.Exec(t.Context(), `set default_transaction_isolation = 'repeatable read'`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `select lectern.initialize_fsm_with_outbox($1, $1, $1, 'key-number-1', 'TEST', 'stage_4_init', '[]', null, $2)`,
		uuid.New(), strings.Repeat("0", 64))
	requireCode(t, "40001", err)
}

func TestCancelAndRestartBeginANewRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))

	cancel := domain.ChangeStateCommand{
		CourseID: c.ID, Caller: b.caller, Key: "cancel-it", Fingerprint: domain.Fingerprint(strings.Repeat("a", 64)),
		InitiatedBy: domain.ActorAPI, State: domain.StateCancelled, Reason: "changed my mind",
	}
	first, err := b.commands.ChangeState(t.Context(), cancel)
	require.NoError(t, err)
	require.Equal(t, domain.StateCancelled, first.State)
	again, err := b.commands.ChangeState(t.Context(), cancel)
	require.NoError(t, err)
	require.Equal(t, first, again)

	restart := cancel
	restart.Key, restart.State = "restart-it", domain.StatePending
	_, err = b.commands.ChangeState(t.Context(), restart)
	require.NoError(t, err)
	c = b.reload(t, c)
	require.Equal(t, domain.StatePending, c.State)
	require.Equal(t, 2, c.Run)
	require.Equal(t, int64(3), c.Version)
}

// A state that begins again is no transition: its jobs would be queued twice.
func TestStateThatTheCourseHasIsNoTransition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
	before := b.rows(t)
	_, err := b.commands.InitializeFSM(t.Context(),
		b.command(t, c, "key-number-2", domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID)))
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonIllegalTransition})

	cancel := domain.ChangeStateCommand{
		CourseID: c.ID, Caller: b.caller, Key: "cancel-it", Fingerprint: domain.Fingerprint(strings.Repeat("a", 64)),
		InitiatedBy: domain.ActorAPI, State: domain.StateCancelled,
	}
	_, err = b.commands.ChangeState(t.Context(), cancel)
	require.NoError(t, err)
	before["idempotency_keys"]++
	before["fsm_events"]++
	cancel.Key = "cancel-it-again"
	_, err = b.commands.ChangeState(t.Context(), cancel)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonIllegalTransition})
	require.Equal(t, before, b.rows(t))
}
