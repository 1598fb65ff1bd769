package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
)

func (b *bundle) operator(t *testing.T) *postgres.Operator {
	t.Helper()
	return postgres.NewOperator(open(t, b.db.App))
}

// bury publishes what was claimed, but the entries of these ids, which die.
func (b *bundle) bury(t *testing.T, reason string, hold bool, dead ...uuid.UUID) {
	t.Helper()
	settled := domain.Settlement{HoldBehindDead: hold}
	for _, e := range b.claim(t) {
		isDead := false
		for _, id := range dead {
			isDead = isDead || e.ID == id
		}
		switch {
		case isDead:
			settled.Dead = append(settled.Dead, domain.FailedEntry{Entry: e, Reason: reason})
		case !hold:
			settled.Published = append(settled.Published, e)
		}
	}
	require.Len(t, settled.Dead, len(dead))
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, settled))
}

func (b *bundle) entry(t *testing.T, id uuid.UUID) domain.OutboxEntry {
	t.Helper()
	e, err := b.operator(t).Get(t.Context(), b.caller, id)
	require.NoError(t, err)
	return e
}

func (b *bundle) redrive(t *testing.T, list ...uuid.UUID) []domain.EntryVerdict {
	t.Helper()
	verdicts, err := b.operator(t).Redrive(t.Context(), b.caller, list, false)
	require.NoError(t, err)
	return verdicts
}

// take is a worker that takes an entry's job.
func (b *bundle) take(t *testing.T, e domain.OutboxEntry) string {
	t.Helper()
	var verdict string
	require.NoError(t, connect(t, b.db.Worker).QueryRow(t.Context(), `select lectern.begin_job($1, 'workers', $2, $3, 'stage_2_processing')`,
		e.ID, e.CourseID, e.Run).Scan(&verdict))
	return verdict
}

func TestARedrivenEntryTakesItsCourseAndWhatWasSkippedAlong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, entries := b.three(t)
	require.Equal(t, "work", b.take(t, entries[0])) // before the death
	b.bury(t, "too large for the broker", false, entries[1].ID)
	require.Equal(t, domain.StateFailed, b.reload(t, c).State)
	require.Equal(t, "skipped", b.take(t, entries[2])) // for the course has failed
	dead := b.entry(t, entries[1].ID)
	require.Equal(t, domain.EntryDead, dead.State())
	require.Equal(t, "too large for the broker", dead.LastError)
	require.JSONEq(t, `{"course_id": "`+c.ID.String()+`"}`, string(dead.Data))

	dry, err := b.operator(t).Redrive(t.Context(), b.caller, []uuid.UUID{entries[1].ID}, true)
	require.NoError(t, err)
	require.Equal(t, []domain.EntryVerdict{{ID: entries[1].ID, CourseID: c.ID}}, dry)
	require.Equal(t, domain.StateFailed, b.reload(t, c).State)

	require.Equal(t, dry, b.redrive(t, entries[1].ID))
	again := b.reload(t, c)
	require.Equal(t, domain.StateStage2Processing, again.State)
	require.Equal(t, c.Run, again.Run)
	require.NotContains(t, string(again.Metadata), "failure")
	claimed := b.claim(t)
	require.Equal(t, ids(entries)[1:], ids(claimed))
	require.Greater(t, claimed[0].Seq, entries[2].Seq)
	require.Zero(t, claimed[0].Attempts)
	require.Equal(t, "work", b.take(t, entries[1]))
	require.Equal(t, "work", b.take(t, entries[2]))

	events := b.events(t, c)
	last := events[len(events)-2:]
	require.Equal(t, domain.EventJobRedriven, last[0].Type)
	require.Contains(t, string(last[0].Data), "too large for the broker")
	require.Equal(t, domain.EventStateTransitioned, last[1].Type)
	for _, e := range last {
		require.Equal(t, domain.ActorAdmin, e.CreatedBy)
		require.Equal(t, b.caller.UserID, *e.UserID)
	}
}

func TestOneOfTwoRedrivesAtOnceIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, entries := b.three(t)
	b.bury(t, "no", false, entries[0].ID)
	operator := b.operator(t)
	lock := b.hold(t, `select lectern.lock_course($1)`, c.ID)
	verdicts := make(chan domain.EntryVerdict, 2)
	for range 2 {
		go func() {
			got, err := operator.Redrive(context.WithoutCancel(t.Context()), b.caller, []uuid.UUID{entries[0].ID}, false)
			if err != nil || len(got) != 1 {
				got = []domain.EntryVerdict{{Message: fmt.Sprint(got, err)}}
			}
			verdicts <- got[0]
		}()
	}
	b.awaitWaiters(t, 2)
	require.NoError(t, lock.Rollback(t.Context()))
	refusals := []domain.Reason{(<-verdicts).Refusal, (<-verdicts).Refusal}
	require.ElementsMatch(t, []domain.Reason{"", domain.ReasonEntryNotDead}, refusals)
	require.Equal(t, []uuid.UUID{entries[0].ID}, ids(b.claim(t)))
}

// A relay works through all the time, and what is redriven reaches it once.
func TestRedrivingWhileTheRelayClaimsSendsEachEntryOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var dead []uuid.UUID
	for range 30 {
		_, entries := b.three(t)
		dead = append(dead, ids(entries)...)
	}
	b.bury(t, "no", false, dead...)
	ctx, stop := context.WithCancel(t.Context())
	sent := make(chan []uuid.UUID, 1)
	go func() {
		var out []uuid.UUID
		for ended := false; !ended; {
			ended = ctx.Err() != nil // once more after the last redrive
			claimed, err := b.outbox.Claim(context.WithoutCancel(ctx), b.lease, 7)
			if err != nil {
				break
			}
			out = append(out, ids(claimed.Entries)...)
			if b.outbox.Settle(context.WithoutCancel(ctx), b.lease, domain.Settlement{Published: claimed.Entries}) != nil {
				break
			}
			ended = ended && len(claimed.Entries) == 0
		}
		sent <- out
	}()
	for i := 0; i < len(dead); i += 3 {
		for _, v := range b.redrive(t, dead[i:i+3]...) {
			require.Empty(t, v.Refusal, v.Message)
		}
	}
	stop()
	out := <-sent
	require.ElementsMatch(t, dead, out)
	place := map[uuid.UUID]int{}
	for i, id := range out {
		place[id] = i
	}
	for i := 0; i < len(dead); i += 3 {
		require.Less(t, place[dead[i]], place[dead[i+1]])
		require.Less(t, place[dead[i+1]], place[dead[i+2]])
	}
}

func TestRedriveIsRefusedWhereItCouldNotHelp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, b *bundle, c domain.Course, entries []domain.OutboxEntry)
		want    domain.Reason
		message string
	}{
		"the course was restarted": {func(t *testing.T, b *bundle, c domain.Course, entries []domain.OutboxEntry) {
			b.bury(t, "no", false, entries[0].ID)
			b.exec(t, `update lectern.courses set generation_status = 'pending' where id = $1`, c.ID)
		}, domain.ReasonStaleRun, "restart the course"},
		"the course was cancelled": {func(t *testing.T, b *bundle, c domain.Course, entries []domain.OutboxEntry) {
			b.exec(t, `update lectern.courses set generation_status = 'cancelled' where id = $1`, c.ID)
			b.bury(t, "no", false, entries[0].ID)
		}, domain.ReasonCourseEnded, "restart the course"},
		"the course failed for another reason": {func(t *testing.T, b *bundle, c domain.Course, entries []domain.OutboxEntry) {
			b.exec(t, `select lectern.fail_course($1, 'the file was empty', 'WORKER')`, c.ID)
			b.bury(t, "no", false, entries[0].ID)
		}, domain.ReasonCourseEnded, "another reason"},
		"another entry of the course is dead": {func(t *testing.T, b *bundle, _ domain.Course, entries []domain.OutboxEntry) {
			b.bury(t, "no", false, entries[0].ID, entries[2].ID)
		}, domain.ReasonOtherDeadEntries, "redrive them together"},
		"another entry of the course was discarded": {func(t *testing.T, b *bundle, _ domain.Course, entries []domain.OutboxEntry) {
			b.bury(t, "no", false, entries[0].ID, entries[2].ID)
			_, err := b.operator(t).Discard(t.Context(), b.caller, []uuid.UUID{entries[2].ID}, "broken", false)
			require.NoError(t, err)
		}, domain.ReasonCourseEnded, "discarded"},
		"it was discarded": {func(t *testing.T, b *bundle, _ domain.Course, entries []domain.OutboxEntry) {
			b.bury(t, "no", false, entries[0].ID)
			_, err := b.operator(t).Discard(t.Context(), b.caller, []uuid.UUID{entries[0].ID}, "broken", false)
			require.NoError(t, err)
		}, domain.ReasonEntryDiscarded, "restart its course"},
		"it is processed": {func(t *testing.T, b *bundle, _ domain.Course, _ []domain.OutboxEntry) {
			b.bury(t, "no", false)
		}, domain.ReasonEntryNotDead, "processed"},
		"it is ready": {func(*testing.T, *bundle, domain.Course, []domain.OutboxEntry) {}, domain.ReasonEntryNotDead, "ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c, entries := b.three(t)
			tc.prepare(t, b, c, entries)
			before := b.reload(t, c)
			verdicts := b.redrive(t, entries[0].ID)
			require.Len(t, verdicts, 1)
			require.Equal(t, tc.want, verdicts[0].Refusal)
			require.Contains(t, verdicts[0].Message, tc.message)
			require.Equal(t, before, b.reload(t, c))
		})
	}
}

func (b *bundle) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := connect(t, b.db.Superuser).Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

func TestDeadEntriesOfACourseAreRedrivenTogetherInTheirOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, entries := b.three(t)
	b.bury(t, "no", false, ids(entries)...)
	for _, v := range b.redrive(t, entries[2].ID, entries[0].ID, entries[1].ID) {
		require.Empty(t, v.Refusal, v.Message)
	}
	require.Equal(t, ids(entries), ids(b.claim(t)))
}

func TestWhatComesAfterADeadEntryIsHeldUntilItIsRedriven(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, entries := b.three(t)
	_, others := b.three(t)
	b.bury(t, "no", true, entries[1].ID)
	require.Equal(t, append([]uuid.UUID{entries[0].ID}, ids(others)...), ids(b.claim(t)))
	require.Equal(t, domain.EntryHeld, b.entry(t, entries[2].ID).State())

	require.Empty(t, b.redrive(t, entries[1].ID)[0].Refusal)
	require.Equal(t, append(append([]uuid.UUID{entries[0].ID}, ids(others)...), entries[1].ID, entries[2].ID), ids(b.claim(t)))
}

func TestADiscardedEntryIsRecordedAndCountsNoMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	operator := b.operator(t)
	c, entries := b.three(t)
	b.bury(t, "no", true, entries[0].ID)
	counts, err := operator.Count(t.Context(), b.caller)
	require.NoError(t, err)
	require.Len(t, counts, 2)
	require.Equal(t, []any{domain.EntryDead, int64(1)}, []any{counts[0].State, counts[0].Entries})
	require.Equal(t, []any{domain.EntryHeld, int64(2)}, []any{counts[1].State, counts[1].Entries})

	_, err = operator.Discard(t.Context(), b.caller, []uuid.UUID{entries[0].ID}, " ", false)
	require.Equal(t, domain.ReasonInvalidField, domain.ReasonOf(err))
	verdicts, err := operator.Discard(t.Context(), b.caller, []uuid.UUID{entries[0].ID}, "the file is gone", true)
	require.NoError(t, err)
	require.Empty(t, verdicts[0].Refusal)
	require.Equal(t, domain.EntryDead, b.entry(t, entries[0].ID).State())
	_, err = operator.Discard(t.Context(), b.caller, []uuid.UUID{entries[0].ID}, "the file is gone", false)
	require.NoError(t, err)

	e := b.entry(t, entries[0].ID)
	require.Equal(t, domain.EntryDiscarded, e.State())
	require.Equal(t, "no", e.LastError)
	require.Equal(t, ids(entries)[1:], ids(b.claim(t))) // nothing holds them now
	events := b.events(t, c)
	last := events[len(events)-1]
	require.Equal(t, domain.EventJobDiscarded, last.Type)
	require.Equal(t, b.caller.UserID, *last.UserID)
	require.Contains(t, string(last.Data), "the file is gone")
	stats, err := b.outbox.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats.Dead)
	counts, err = operator.Count(t.Context(), b.caller)
	require.NoError(t, err)
	require.Len(t, counts, 1)
	verdicts, err = operator.Discard(t.Context(), b.caller, []uuid.UUID{entries[0].ID}, "twice", false)
	require.NoError(t, err)
	require.Equal(t, domain.ReasonEntryDiscarded, verdicts[0].Refusal)
}

func TestEntriesAreListedByFilterAndPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	operator := b.operator(t)
	c, entries := b.three(t)
	other := b.course(t)
	later, at := job(t, domain.QueueSummarization, other.ID), time.Now().Add(time.Hour)
	later.Options.NotBefore = &at
	b.start(t, other, domain.StateStage2Init, later)
	b.bury(t, "no", false, entries[1].ID)
	b.exec(t, `update lectern.job_outbox set created_at = now() - interval '2 hours' where outbox_id = $1`, entries[0].ID)

	newest := []uuid.UUID{later.ID, entries[2].ID, entries[1].ID, entries[0].ID}
	for name, tc := range map[string]struct {
		filter domain.EntryFilter
		want   []uuid.UUID
	}{
		"all":                     {domain.EntryFilter{}, newest},
		"of a course":             {domain.EntryFilter{CourseID: c.ID}, newest[1:]},
		"of a queue":              {domain.EntryFilter{Queue: domain.QueueSummarization}, newest[:1]},
		"dead":                    {domain.EntryFilter{States: []domain.EntryState{domain.EntryDead}}, newest[2:3]},
		"dead or delayed":         {domain.EntryFilter{States: []domain.EntryState{domain.EntryDead, domain.EntryDelay}}, []uuid.UUID{later.ID, entries[1].ID}},
		"older":                   {domain.EntryFilter{OlderThan: time.Hour}, newest[3:]},
		"younger, of a course":    {domain.EntryFilter{CourseID: c.ID, YoungerThan: time.Hour}, newest[1:3]},
		"in every other state":    {domain.EntryFilter{States: []domain.EntryState{"ready", "backoff", "blocked", "held", "discarded"}}, nil},
		"of a course there isn't": {domain.EntryFilter{CourseID: newID(t)}, nil},
	} {
		found, err := operator.List(t.Context(), b.caller, tc.filter, uuid.Nil, 10)
		require.NoError(t, err, name)
		require.Equal(t, tc.want, ids(found), name)
	}
	page, err := operator.List(t.Context(), b.caller, domain.EntryFilter{}, newest[1], 1)
	require.NoError(t, err)
	require.Equal(t, newest[2:3], ids(page))
	_, err = operator.List(t.Context(), b.caller, domain.EntryFilter{States: []domain.EntryState{"lost' or true --"}}, uuid.Nil, 1)
	require.Equal(t, domain.ReasonInvalidField, domain.ReasonOf(err))
}

func TestAnOperatorSeesNoOtherOrganization(t *testing.T) {
	t.Parallel()
	b := setup(t)
	operator := b.operator(t)
	_, entries := b.three(t)
	b.bury(t, "no", false, entries[0].ID)
	stranger := domain.Identity{OrganizationID: newID(t), UserID: newID(t)}

	found, err := operator.List(t.Context(), stranger, domain.EntryFilter{}, uuid.Nil, 10)
	require.NoError(t, err)
	require.Empty(t, found)
	_, err = operator.Get(t.Context(), stranger, entries[0].ID)
	require.Equal(t, domain.ReasonEntryNotFound, domain.ReasonOf(err))
	counts, err := operator.Count(t.Context(), stranger)
	require.NoError(t, err)
	require.Empty(t, counts)
	want := []domain.EntryVerdict{{ID: entries[0].ID, Refusal: domain.ReasonEntryNotFound, Message: "there is no such entry"}}
	verdicts, err := operator.Redrive(t.Context(), stranger, ids(entries)[:1], false)
	require.NoError(t, err)
	require.Equal(t, want, verdicts)
	verdicts, err = operator.Discard(t.Context(), stranger, ids(entries)[:1], "mine", false)
	require.NoError(t, err)
	require.Equal(t, want, verdicts)
	require.Equal(t, domain.EntryDead, b.entry(t, entries[0].ID).State())

	app := connect(t, b.db.App)
	for _, unbound := range []string{
		`select lectern.list_entries(null, null, null, null, null, null, 1)`, `select lectern.get_entry(gen_random_uuid())`,
		`select lectern.count_entries()`, `select lectern.redrive_entries('{}', null, false)`, `select lectern.discard_entries('{}', null, 'x', false)`,
	} {
		requireCode(t, "LE009", try(t, app, unbound), unbound)
	}
}
