package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// A race is led here, not hoped for: one session of ours holds what the
// command needs, the command is seen to wait for it, then the session lets go.

// hold begins a transaction of the owner of everything and runs a statement in it.
func (b *bundle) hold(t *testing.T, statement string, args ...any) pgx.Tx {
	t.Helper()
	tx, err := connect(t, b.db.Superuser).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
	return tx
}

// awaitWaiters returns once n sessions of the database wait for a lock.
func (b *bundle) awaitWaiters(t *testing.T, n int) {
	t.Helper()
	conn := connect(t, b.db.Superuser)
	require.Eventually(t, func() bool {
		var waiting int
		err := conn.QueryRow(t.Context(), `select count(*) from pg_stat_activity
			where datname = current_database() and wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting == n
	}, 20*time.Second, 5*time.Millisecond)
}

type outcome struct {
	result domain.InitializeFSMResult
	err    error
}

// send runs a command beside the test.
func (b *bundle) send(t *testing.T, c domain.InitializeFSMCommand) <-chan outcome {
	t.Helper()
	done := make(chan outcome, 1)
	go func() {
		result, err := b.commands.InitializeFSM(context.WithoutCancel(t.Context()), c)
		done <- outcome{result, err}
	}()
	return done
}

// call begins a transaction of the application's role and gives a command in
// it, as the first of two callers does who has not committed yet.
func (b *bundle) call(t *testing.T, c domain.InitializeFSMCommand, fingerprint string) pgx.Tx {
	t.Helper()
	tx, err := connect(t, b.db.App).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select lectern.initialize_fsm_with_outbox($1, $2, $3, $4, 'TEST', $5, '[]', null, $6)`,
		c.CourseID, c.Caller.UserID, c.Caller.OrganizationID, string(c.Key), string(c.State), fingerprint)
	require.NoError(t, err)
	return tx
}

func TestSecondCallerWaitsForTheFirstAndReplaysItsAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	cmd := b.command(t, c, "key-number-1", domain.StateStage4Init)
	first := b.call(t, cmd, string(cmd.Fingerprint))
	second := b.send(t, cmd)
	b.awaitWaiters(t, 1)
	require.NoError(t, first.Commit(t.Context()))

	got := <-second
	require.NoError(t, got.err)
	require.True(t, got.result.FromCache)
	require.Equal(t, int64(1), got.result.FSMState.Version)
	require.LessOrEqual(t, got.result.KeptFor, domain.IdempotencyTTL)
	require.Greater(t, got.result.KeptFor, domain.IdempotencyTTL-time.Minute)
	require.Len(t, b.events(t, c), 1, "a replay changes nothing")
}

func TestSecondCallerClaimsWhenTheFirstAborts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	cmd := b.command(t, c, "key-number-1", domain.StateStage4Init)
	first := b.call(t, cmd, string(cmd.Fingerprint))
	second := b.send(t, cmd)
	b.awaitWaiters(t, 1)
	require.NoError(t, first.Rollback(t.Context()))

	got := <-second
	require.NoError(t, got.err)
	require.False(t, got.result.FromCache)
	require.Equal(t, domain.StateStage4Init, b.reload(t, c).State)
}

// The course takes the command once more when the second caller has its lock:
// what the first stored is met only at the end.
func TestSecondCallerReplaysThoughTheCourseWasSentBackInBetween(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	cmd := b.command(t, c, "key-number-1", domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
	first := b.call(t, cmd, string(cmd.Fingerprint))
	conn := connect(t, b.db.Superuser)
	sentBack := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), `begin;
			update lectern.courses set generation_status = 'cancelled';
			update lectern.courses set generation_status = 'pending';
			commit`)
		sentBack <- err
	}()
	b.awaitWaiters(t, 1)
	second := b.send(t, cmd)
	b.awaitWaiters(t, 2)
	require.NoError(t, first.Commit(t.Context()))

	require.NoError(t, <-sentBack)
	got := <-second
	require.NoError(t, got.err)
	require.True(t, got.result.FromCache)
	require.Equal(t, int64(1), got.result.FSMState.Version)
	require.Equal(t, domain.StatePending, b.reload(t, c).State)
	require.Equal(t, map[string]int{"courses": 1, "job_outbox": 0, "idempotency_keys": 1, "fsm_events": 1, "processed_jobs": 0}, b.rows(t))
}

func TestSecondCallerWithAnotherRequestIsRefusedOnceTheFirstCommits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, other := b.course(t), b.course(t)
	first := b.call(t, b.command(t, other, "key-number-1", domain.StateStage4Init), strings.Repeat("a", 64))
	second := b.send(t, b.command(t, c, "key-number-1", domain.StateStage4Init))
	b.awaitWaiters(t, 1)
	require.NoError(t, first.Commit(t.Context()))
	require.ErrorIs(t, (<-second).err, &domain.Error{Reason: domain.ReasonIdempotencyReuse})
	require.Equal(t, domain.StatePending, b.reload(t, c).State)
}

// Whatever gives a command with a key takes its turn with all others of the key.
func TestCallersOfDifferentProceduresTakeTurnsForAKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	cmd := b.command(t, c, "key-number-1", domain.StateStage4Init)
	first := b.call(t, cmd, string(cmd.Fingerprint))
	refused := make(chan error, 2)
	go func() {
		made, err := domain.NewCourse(uuid.New(), b.caller, "A course", "en", domain.StylePractical, domain.Settings{})
		if err == nil {
			_, err = b.courses.Create(context.WithoutCancel(t.Context()), made, "key-number-1", domain.Fingerprint(strings.Repeat("b", 64)))
		}
		refused <- err
	}()
	go func() {
		_, err := b.commands.ChangeState(context.WithoutCancel(t.Context()), domain.ChangeStateCommand{
			CourseID: c.ID, Caller: b.caller, Key: "key-number-1", Fingerprint: domain.Fingerprint(strings.Repeat("c", 64)),
			InitiatedBy: domain.ActorTest, State: domain.StateCancelled,
		})
		refused <- err
	}()
	b.awaitWaiters(t, 2)
	require.NoError(t, first.Commit(t.Context()))
	for range 2 {
		require.ErrorIs(t, <-refused, &domain.Error{Reason: domain.ReasonIdempotencyReuse})
	}
	require.Equal(t, domain.StateStage4Init, b.reload(t, c).State)
}

// The row has expired: one caller takes it over, the other waits for the first.
func TestOfTwoCallersOneTakesAnExpiredKeyOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	cmd := b.command(t, c, "key-number-1", domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
	b.expired(t, "key-number-1")
	lock := b.hold(t, `select from lectern.courses where id = $1 for update`, c.ID)
	callers := []<-chan outcome{b.send(t, cmd), b.send(t, cmd)}
	b.awaitWaiters(t, 2) // one for the course, one for the key
	require.NoError(t, lock.Rollback(t.Context()))

	var results []domain.InitializeFSMResult
	for _, caller := range callers {
		got := <-caller
		require.NoError(t, got.err)
		results = append(results, got.result)
	}
	require.NotEqual(t, results[0].FromCache, results[1].FromCache)
	requireSameAnswer(t, results[0], results[1])
	require.Equal(t, 1, b.rows(t)["job_outbox"])
}

// expired stores a key whose time is over.
func (b *bundle) expired(t *testing.T, key string) {
	t.Helper()
	_, err := connect(t, b.db.Superuser).Exec(t.Context(), `
		insert into lectern.idempotency_keys (organization_id, key, fingerprint, result, created_at, expires_at)
		values ($1, $2, $3, '{"old": true}', now() - interval '2 days', now() - interval '1 day')`,
		b.caller.OrganizationID, key, strings.Repeat("b", 64))
	require.NoError(t, err)
}

// The clean-up deletes the expired row between the command's look at it and its
// taking it over.
func TestKeyThatACleanUpDeletesInBetweenIsClaimed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.expired(t, "key-number-1")
	cleanUp := b.hold(t, `select lectern.delete_expired_keys(10)`)
	command := b.send(t, b.command(t, c, "key-number-1", domain.StateStage4Init))
	b.awaitWaiters(t, 1)
	require.NoError(t, cleanUp.Commit(t.Context()))

	got := <-command
	require.NoError(t, got.err)
	require.False(t, got.result.FromCache)
	require.Equal(t, domain.StateStage4Init, b.reload(t, c).State)
	var keys int
	require.NoError(t, connect(t, b.db.Superuser).QueryRow(t.Context(),
		`select count(*) from lectern.idempotency_keys where result->>'old' is null`).Scan(&keys))
	require.Equal(t, 1, keys)
}

// The course is restarted while the command waits for it. What the command
// looks up must be what the restart left: its run is another now.
func TestCommandSeesWhatTheLocksLastHolderCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.start(t, c, domain.StateStage4Init)
	_, err := connect(t, b.db.Superuser).Exec(t.Context(), `update lectern.courses set generation_status = 'cancelled'`)
	require.NoError(t, err)

	restart := b.hold(t, `update lectern.courses set generation_status = 'pending' where id = $1`, c.ID)
	app := connect(t, b.db.App)
	refused := make(chan error, 1)
	go func() {
		_, err := app.Exec(context.WithoutCancel(t.Context()), `
			select lectern.initialize_fsm_with_outbox($1, $2, $3, 'key-number-2', 'TEST', 'stage_4_init', '[]', null, repeat('0', 64), 1)`,
			c.ID, b.caller.UserID, b.caller.OrganizationID)
		refused <- err
	}()
	b.awaitWaiters(t, 1)
	require.NoError(t, restart.Commit(t.Context()))
	requireCode(t, "LE008", <-refused)
}

// Two commands with keys of their own: the second sees the first's state, so
// its event tells the right step and its number follows on.
func TestCommandsOnOneCourseTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	lock := b.hold(t, `select from lectern.courses where id = $1 for update`, c.ID)
	var callers []<-chan outcome
	for _, key := range []string{"key-number-1", "key-number-2", "key-number-3"} {
		callers = append(callers, b.send(t, b.command(t, c, key, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))))
	}
	b.awaitWaiters(t, len(callers))
	require.NoError(t, lock.Rollback(t.Context()))
	done := 0
	for _, caller := range callers {
		got := <-caller
		if got.err == nil {
			done++
			continue
		}
		require.ErrorIs(t, got.err, &domain.Error{Reason: domain.ReasonIllegalTransition})
	}
	require.Equal(t, 1, done)
	require.Len(t, b.events(t, c), 2)
	require.Equal(t, map[string]int{"courses": 1, "job_outbox": 1, "idempotency_keys": 1, "fsm_events": 2, "processed_jobs": 0}, b.rows(t))
}

func TestHundredConcurrentCallsWithOneKeyFiftyTimes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 50 {
		c := b.course(t)
		before := b.rows(t)
		key := "key-" + uuid.NewString()
		var callers []<-chan outcome
		for range 100 {
			callers = append(callers, b.send(t, b.command(t, c, key, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))))
		}
		first, fresh := <-callers[0], 0
		for i, caller := range callers {
			got := first
			if i > 0 {
				got = <-caller
			}
			require.NoError(t, got.err)
			requireSameAnswer(t, first.result, got.result)
			if !got.result.FromCache {
				fresh++
			}
		}
		require.Equal(t, 1, fresh)
		before["job_outbox"]++
		before["idempotency_keys"]++
		before["fsm_events"] += 2
		require.Equal(t, before, b.rows(t))
	}
}

func TestBindingHoldsHoweverItsUUIDIsSpelled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	conn := connect(t, b.db.App)
	_, err := conn.Exec(t.Context(), `select set_config('lectern.organization_id', $1, false)`,
		"{"+strings.ToUpper(b.caller.OrganizationID.String())+"}")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `select lectern.initialize_fsm_with_outbox($1, $2, $3, 'key-number-1', 'TEST', 'stage_4_init', null, null, repeat('0', 64))`,
		c.ID, b.caller.UserID, b.caller.OrganizationID)
	require.NoError(t, err)
	require.Equal(t, domain.StateStage4Init, b.reload(t, c).State)
}
