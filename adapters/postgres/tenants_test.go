package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// bind binds a transaction to an organization.
func bind(t *testing.T, tx pgx.Tx, organization uuid.UUID) {
	t.Helper()
	_, err := tx.Exec(t.Context(), fmt.Sprintf(`set local lectern.organization_id = '%s'`, organization))
	require.NoError(t, err)
}

// begin begins a transaction of the app's, which ends with the test.
func begin(t *testing.T, b *bundle) pgx.Tx {
	t.Helper()
	tx, err := connect(t, b.db.App).Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) })
	return tx
}

// courseWithAll makes a course with a document, jobs and events.
func (b *bundle) courseWithAll(t *testing.T) domain.Course {
	t.Helper()
	c := b.course(t)
	_, err := connect(t, b.db.App).Exec(t.Context(), `select lectern.add_document($1, $2, $3, 'a.md', 'md', 1, repeat('0', 64), 'k')`,
		newID(t), c.ID, b.caller.OrganizationID)
	require.NoError(t, err)
	b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
	return c
}

func TestAnotherOrganizationsCourseIsInvisible(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	stranger := domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}

	_, err := b.courses.Get(t.Context(), stranger, c.ID)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonCourseNotFound})
	_, err = b.courses.Events(t.Context(), stranger, c.ID, 0, 10)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonCourseNotFound})
	_, err = b.courses.Entries(t.Context(), stranger, c.ID)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonCourseNotFound})
	list, err := b.courses.List(t.Context(), stranger, uuid.Nil, 10)
	require.NoError(t, err)
	require.Empty(t, list)
}

// visible returns whose rows the app reads, and fails when the functions that
// read the system's tables think otherwise.
func visible(t *testing.T, tx pgx.Tx, courses ...domain.Course) []uuid.UUID {
	t.Helper()
	rows, err := tx.Query(t.Context(), `select organization_id from lectern.courses union select organization_id from lectern.documents order by 1`)
	require.NoError(t, err)
	seen, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	for _, c := range courses {
		for _, reader := range []string{`select count(*) from lectern.course_events($1, 0)`, `select count(*) from lectern.outbox_entries($1)`} {
			var n int
			inner, err := tx.Begin(t.Context())
			require.NoError(t, err)
			err = inner.QueryRow(t.Context(), reader, c.ID).Scan(&n)
			if len(seen) == 1 && seen[0] == c.Owner.OrganizationID {
				require.NoError(t, err)
				require.Positive(t, n)
			} else {
				requireCode(t, "LE001", err, reader)
			}
			require.NoError(t, inner.Rollback(t.Context()))
		}
	}
	return seen
}

func TestTransactionSeesTheRowsOfTheOrganizationItIsBoundTo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine := b.courseWithAll(t)
	b.caller = domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	others := b.courseWithAll(t)
	tx := begin(t, b)

	require.Empty(t, visible(t, tx, mine, others), "unbound")
	bind(t, tx, mine.Owner.OrganizationID)
	require.Equal(t, []uuid.UUID{mine.Owner.OrganizationID}, visible(t, tx, mine, others))

	// A setting that changes in mid-transaction moves everything at once, and
	// comes back with its savepoint.
	inner, err := tx.Begin(t.Context())
	require.NoError(t, err)
	bind(t, inner, others.Owner.OrganizationID)
	require.Equal(t, []uuid.UUID{others.Owner.OrganizationID}, visible(t, inner, mine, others))
	require.NoError(t, inner.Rollback(t.Context()))
	require.Equal(t, []uuid.UUID{mine.Owner.OrganizationID}, visible(t, tx, mine, others))

	bind(t, tx, uuid.New())
	require.Empty(t, visible(t, tx, mine, others))
}

// A condition of the caller's own can't look at a row before the policy has.
func TestFunctionInAQueryIsShownNoRowOfAnotherOrganization(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine := b.course(t)
	b.caller = domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	b.course(t)
	config, err := pgx.ParseConfig(b.db.App)
	require.NoError(t, err)
	var shown []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { shown = append(shown, n.Message) }
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	_, err = conn.Exec(t.Context(), fmt.Sprintf(`
		create function pg_temp.peep(organization uuid) returns boolean language plpgsql cost 0.0000001
		as $$ begin raise notice '%%', organization; return true; end $$;
		set lectern.organization_id = '%s';
		select from lectern.courses where pg_temp.peep(organization_id)`, mine.Owner.OrganizationID))
	require.NoError(t, err)
	require.Equal(t, []string{mine.Owner.OrganizationID.String()}, shown)
}

func TestUnboundTransactionSeesNoCourse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.courseWithAll(t)
	conn := connect(t, b.db.App)
	for range 2 { // the second time, an ended SET LOCAL has left ''
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		require.Empty(t, visible(t, tx, c))
		bind(t, tx, c.Owner.OrganizationID)
		require.NoError(t, tx.Commit(t.Context()))
	}
}

func TestSettingThatIsNoOrganizationIsAnErrorAndNoRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	conn := connect(t, b.db.App)
	for _, garbage := range []string{"abc", "%", " ", c.Owner.OrganizationID.String() + " or true"} {
		_, err := conn.Exec(t.Context(), `select set_config('lectern.organization_id', $1, false)`, garbage)
		require.NoError(t, err)
		for _, statement := range []string{
			`select * from lectern.courses`,
			fmt.Sprintf(`select lectern.outbox_entries('%s')`, c.ID),
			fmt.Sprintf(`select lectern.course_events('%s', 0)`, c.ID),
			fmt.Sprintf(`select lectern.change_course_state('%s', '%s', '%s', 'key-number-1', 'TEST', 'cancelled', null, repeat('0', 64))`,
				c.ID, c.Owner.UserID, c.Owner.OrganizationID),
		} {
			requireCode(t, "22P02", try(t, conn, statement), garbage, statement)
		}
	}
}

// The commands of the app, on a course and for an organization.
func commandsOn(course, organization, user, fresh uuid.UUID) map[string]string {
	return map[string]string{
		"initialize": fmt.Sprintf(`select lectern.initialize_fsm_with_outbox('%s', '%s', '%s', 'key-number-1', 'TEST', 'stage_4_init', '[]', null, repeat('0', 64))`,
			course, user, organization),
		"change": fmt.Sprintf(`select lectern.change_course_state('%s', '%s', '%s', 'key-number-1', 'TEST', 'cancelled', null, repeat('0', 64))`,
			course, user, organization),
		"document": fmt.Sprintf(`select lectern.add_document('%s', '%s', '%s', 'a.md', 'md', 1, repeat('0', 64), 'k')`, fresh, course, organization),
		"create": fmt.Sprintf(`select lectern.create_course('%s', '%s', '%s', 'T', 't', 'en', 'practical', '{}', 'key-number-1', repeat('0', 64))`,
			fresh, user, organization),
	}
}

func TestBoundTransactionCommandsNoOtherOrganization(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine := b.course(t)
	me := b.caller
	b.caller = domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}
	others := b.course(t)
	before := b.rows(t)
	for name, tc := range map[string]struct {
		bound                uuid.UUID // Nil for none
		course, organization uuid.UUID
		code                 string
		but                  string // the command that this doesn't concern
	}{
		"in another's name":                    {me.OrganizationID, others.ID, others.Owner.OrganizationID, "LE009", ""},
		"on another's course, in one's own":    {me.OrganizationID, others.ID, me.OrganizationID, "LE002", "create"},
		"on one's own course, in another's":    {me.OrganizationID, mine.ID, others.Owner.OrganizationID, "LE009", ""},
		"on a course that is not":              {me.OrganizationID, uuid.New(), me.OrganizationID, "LE001", "create"},
		"unbound, on another's course":         {uuid.Nil, others.ID, me.OrganizationID, "LE002", "create"},
		"unbound, on one's own, in another's":  {uuid.Nil, mine.ID, others.Owner.OrganizationID, "LE002", "create"},
		"unbound, on a course that is not one": {uuid.Nil, uuid.New(), me.OrganizationID, "LE001", "create"},
	} {
		for command, statement := range commandsOn(tc.course, tc.organization, me.UserID, newID(t)) {
			if command == tc.but {
				continue
			}
			tx := begin(t, b)
			if tc.bound != uuid.Nil {
				bind(t, tx, tc.bound)
			}
			_, err := tx.Exec(t.Context(), statement)
			requireCode(t, tc.code, err, name, command)
		}
	}
	require.Equal(t, before, b.rows(t))
}
